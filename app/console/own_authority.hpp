// The authority of this user: a certificate and a key in their data directory, made when they are first needed. `coax
// cert` and --tls auto issue certificates with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/tls/context.hpp"
#include "coax/tls/issue.hpp"

namespace coax::app {

class OwnAuthority {
 public:
  // Reads it from $XDG_DATA_HOME/coax or ~/.local/share/coax, or makes it there, the key with the mode 0600.
  // Throws: Error when the files cannot be read or written, or do not belong together.
  static OwnAuthority open();
  // The certificate of the authority, without making one.
  static std::optional<std::string> file_if_present();

  [[nodiscard]] const std::string& certificate_file() const noexcept { return certificate_file_; }
  [[nodiscard]] bool is_new() const noexcept { return is_new_; }
  // Throws: Error(invalid) for a malformed name.
  [[nodiscard]] tls::Issued issue(const tls::IssueOptions& options) const { return tls::issue(issued_, options); }
  // A certificate for these names in the data directory, which is used again until 30 days before it expires.
  [[nodiscard]] tls::Identity identity_for(const std::vector<std::string>& names) const;

 private:
  std::string directory_;
  std::string certificate_file_;
  tls::Issued issued_;
  bool is_new_ = false;
};

// How this machine, a browser, Python and curl are made to trust the authority of that file, as text for a person.
std::string how_to_trust(const std::string& certificate_file);

// Writes both files, the key with the mode 0600; as write_files() (files.hpp).
void write_identity(const tls::Issued& issued, const std::string& certificate_file, const std::string& key_file,
                    bool replace);

}  // namespace coax::app
