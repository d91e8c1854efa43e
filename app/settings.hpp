// Settings of a command. Flags override the environment, which overrides the configuration file, which overrides the
// default.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"

namespace coax::app {

// Each setting is the option --NAME, the variable COAX_NAME (upper case, _ for -) and the key NAME of the file (_ for
// -).
// Throws: Error(invalid) that names the source of an invalid value.
class Settings {
 public:
  // Adds --config FILE (TOML) to the command.
  explicit Settings(CLI::App& command);

  // Before the command line is parsed. `what` is shown in the help, with the default.
  void add(std::string name, std::string placeholder, std::string fallback, std::string what);
  // After parsing: reads the environment and the file.
  void resolve();

  [[nodiscard]] const std::string& text(std::string_view name) const;
  [[nodiscard]] std::uint16_t port(std::string_view name) const;
  [[nodiscard]] unsigned count(std::string_view name) const;  // 1 or more
  [[nodiscard]] std::optional<unsigned> count_or_none(std::string_view name, std::string_view none) const;
  [[nodiscard]] std::vector<std::string> names(std::string_view name) const;  // separated by commas
  [[nodiscard]] std::size_t size(std::string_view name) const;
  [[nodiscard]] Duration duration(std::string_view name) const;
  [[noreturn]] void refuse(std::string_view name, std::string_view expected) const;

 private:
  struct Setting {
    std::string name;
    std::string value;
    std::string origin;  // "--port", "COAX_PORT", "port in FILE", "the default"
    CLI::Option* option = nullptr;
    std::string flag;  // the value on the command line
  };
  [[nodiscard]] const Setting& find(std::string_view name) const;
  void read_file();

  CLI::App& command_;
  std::string config_;
  std::deque<Setting> settings_;  // CLI11 keeps references
};

}  // namespace coax::app
