// multipart/form-data (RFC 7578, RFC 2046 section 5.1): the bytes of a body in, its parts out. Pure: no descriptor, no
// clock.
//
// Stricter than RFC 2046, since each leniency lets a filter in front of a server find other parts than the server does:
// only CRLF ends a line, no field is folded, no part is in a transfer encoding, and the closing boundary must not be
// missing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/codec/http.hpp"

namespace coax::http {

struct MultipartLimits {
  std::size_t parts_max = 1000;
  std::size_t head_bytes_max = 16 * 1024;  // of the header fields of one part
};

struct MultipartError {
  std::string_view reason;  // static
  bool is_limit = false;    // the input may be valid, but is more than the limits allow
};

// The header of a part. Names, file names and charsets are valid UTF-8.
struct MultipartPart {
  Fields fields;     // valid until the next part begins
  std::string name;  // with the quotes, CR and LF that browsers encode as %22, %0D and %0A (WHATWG HTML, form-data)
  // Nothing: not a file. The base name of what the client sent, which may have been a path of any system; never "." or
  // "..", and without control characters; empty when nothing is left.
  std::optional<std::string> filename;
  std::string content_type;  // as received; "text/plain" when there is none (RFC 7578, section 4.4)
};

struct MultipartEvent {
  enum class Kind : std::uint8_t {
    part,      // its header has been read
    data,      // some bytes of its content
    part_end,  // its content is complete
    end,       // the closing boundary; all later bytes are ignored
  };
  Kind kind = Kind::data;
  BytesView data = {};  // valid until the next call of feed() or next()
};

// The boundary of a field Content-Type. Returns: the reason when it is not multipart/form-data with a boundary of 1 to
// 70 characters (RFC 2046, section 5.1.1).
std::expected<std::string, std::string_view> multipart_boundary(std::string_view content_type);

// Feed, then call next() until it returns nothing; only then may the fed bytes be released or more be fed. Data is not
// copied: it is a view of the fed bytes, or of the decoder. Memory is held only for the header of one part.
class MultipartDecoder {
 public:
  // boundary: as multipart_boundary() returns it.
  explicit MultipartDecoder(std::string_view boundary, const MultipartLimits& limits = {});

  // Borrows the bytes.
  void feed(BytesView bytes) noexcept { lent_ = bytes; }
  // Returns: the next event; nothing when the fed bytes are used up; or an error, which every later call returns again.
  std::expected<std::optional<MultipartEvent>, MultipartError> next();
  // The part of the last event of kind `part`.
  [[nodiscard]] const MultipartPart& part() const noexcept { return part_; }
  // At the end of the body. Returns: an error when its closing boundary is missing.
  [[nodiscard]] std::expected<void, MultipartError> finish() const;

 private:
  enum class State : std::uint8_t {
    content,      // of a part, or of the preamble: up to the next boundary
    boundary,     // after a boundary: it decides whether that was one
    dash,         // after "--BOUNDARY-"
    padding,      // white space after a boundary
    boundary_lf,  // after its CR
    head,         // header fields of a part
    end_due,      // the closing boundary was found, and the event `end` is still to be returned
    epilogue,
    failed,
  };
  using Event = std::optional<MultipartEvent>;

  Event next_of_content();
  Event next_of_boundary();
  Event next_of_dash();
  void read_padding() noexcept;
  void read_boundary_lf() noexcept;
  Event next_of_head();
  Event end_part();
  Event content(BytesView data) noexcept;
  Event release_boundary(std::size_t size) noexcept;
  [[nodiscard]] std::size_t find_boundary() const noexcept;
  [[nodiscard]] std::string_view whole_boundary() const noexcept {
    return std::string_view(boundary_).substr(0, boundary_.size() - 1);
  }
  void parse_head();
  void parse_disposition(std::string_view text);
  void fail(std::string_view reason, bool is_limit = false) noexcept;

  BytesView lent_;
  std::string boundary_;        // "\r\n--BOUNDARY-": any start of it can be found to be content after all
  std::size_t matched_ = 2;     // so many bytes of it were received; the CRLF before the first line is implied
  std::size_t implied_ = 2;     // and so many of those were not
  std::string head_;            // of the part, as received so far
  std::size_t line_start_ = 0;  // in head_
  std::vector<Field> fields_;   // views of head_
  MultipartPart part_;
  MultipartLimits limits_;
  std::size_t parts_ = 0;
  MultipartError error_;
  State state_ = State::content;
  bool in_part_ = false;  // otherwise in the preamble
};

}  // namespace coax::http
