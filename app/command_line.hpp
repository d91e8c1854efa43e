// A pass over the command line before CLI11: it detects requests for help and unknown words, and suggests the nearest
// known one. CLI11's own messages make no suggestions, and its help shows its internal types.
#pragma once

#include <CLI/App.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coax::app {

struct Request {
  enum class Kind : std::uint8_t {
    run,      // CLI11 may parse it
    help,     // of `command`
    version,  //
    wrong,    // `text` says why
  };
  Kind kind = Kind::run;
  const CLI::App* command = nullptr;  // nullptr: the program itself
  std::string text = {};
};

// `words` are the arguments of main() without the program's name.
Request request_of(const CLI::App& program, std::span<const std::string> words);

// The help of a command, or of the program.
std::string help_of(const CLI::App& command);

// The one of `known` that was probably meant: it differs by a letter or two (a third of the word), or is the only one
// with that prefix. Empty: none. Leading dashes are ignored.
std::string nearest(std::string_view word, const std::vector<std::string>& known);
// The text, with "; did you mean ...?" when there is a suggestion.
std::string suggest(std::string text, std::string_view word, const std::vector<std::string>& known);

}  // namespace coax::app
