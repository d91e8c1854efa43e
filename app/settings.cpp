// The sources of a setting's value.
#include "app/settings.hpp"

#include <fmt/core.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/command_line.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/endpoint.hpp"

namespace coax::app {

namespace {

std::string with_underscores(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

std::string variable_of(const std::string& name) {
  std::string variable = "COAX_" + with_underscores(name);
  std::ranges::transform(variable, variable.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
  return variable;
}

[[noreturn]] void refuse_file(const std::string& file, std::string_view reason) {
  throw Error(ErrorKind::invalid, "read", file, reason);
}

// The parser recurses for each part of a dotted key, and no setting needs such a line.
void refuse_long_lines(const std::string& path) {
  constexpr std::size_t line_bytes_max = 16 * 1024;
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (line.size() <= line_bytes_max) continue;
    refuse_file(path, fmt::format("line {}: a line has at most {} bytes", number, line_bytes_max));
  }
}

}  // namespace

Settings::Settings(CLI::App& command) : command_(command) {
  command_.add_option("--config", config_, "Read settings from a TOML file: port = 12345, drain = \"10s\", ...")
      ->type_name("FILE");
}

void Settings::add(std::string name, std::string placeholder, std::string fallback, std::string what) {
  Setting& setting = settings_.emplace_back();
  setting.name = std::move(name);
  setting.value = std::move(fallback);
  setting.origin = "the default";
  setting.option = command_.add_option("--" + setting.name, setting.flag,
                                       setting.value.empty() ? what : fmt::format("{} [{}]", what, setting.value));
  setting.option->type_name(std::move(placeholder));
}

void Settings::resolve() {
  if (command_.count("--config") != 0 && config_.empty()) refuse_file("--config", "it names no file");
  if (!config_.empty()) read_file();
  for (Setting& setting : settings_) {
    const std::string variable = variable_of(setting.name);
    if (const char* value = std::getenv(variable.c_str()); value != nullptr && *value != '\0') {
      setting.value = value;
      setting.origin = variable;
    }
    if (setting.option->count() != 0) {
      setting.value = setting.flag;
      setting.origin = "--" + setting.name;
    }
  }
}

void Settings::read_file() {
  std::error_code failure;
  const auto type = std::filesystem::status(config_, failure).type();
  if (type == std::filesystem::file_type::not_found) refuse_file(config_, "there is no such file");
  if (failure) refuse_file(config_, failure.message());
  if (type != std::filesystem::file_type::regular) refuse_file(config_, "it is not a regular file");
  refuse_long_lines(config_);
  toml::table table;
  try {
    table = toml::parse_file(config_);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    refuse_file(config_,
                line == 0 ? std::string(error.description()) : fmt::format("line {}: {}", line, error.description()));
  }
  for (const auto& [key, node] : table) {
    const auto setting = std::ranges::find_if(
        settings_, [&](const Setting& each) { return with_underscores(each.name) == std::string_view(key.str()); });
    const auto line = node.source().begin.line;
    if (setting == settings_.end()) {
      std::vector<std::string> known;
      for (const Setting& each : settings_) known.push_back(with_underscores(each.name));
      refuse_file(config_, suggest(fmt::format("line {}: there is no setting {}", line, key.str()), key.str(), known));
    }
    if (const auto* text = node.as_string()) {
      setting->value = text->get();
    } else if (const auto* number = node.as_integer()) {
      setting->value = std::to_string(number->get());
    } else {
      refuse_file(config_, fmt::format("line {}: {} must be a text or a whole number", line, key.str()));
    }
    setting->origin = fmt::format("{} in {}, line {}", key.str(), config_, line);
  }
}

const Settings::Setting& Settings::find(std::string_view name) const {
  return *std::ranges::find(settings_, name, &Setting::name);
}

const std::string& Settings::text(std::string_view name) const { return find(name).value; }

void Settings::refuse(std::string_view name, std::string_view expected) const {
  const Setting& setting = find(name);
  throw Error(ErrorKind::invalid, setting.origin, "", fmt::format("\"{}\" is not {}", setting.value, expected));
}

std::uint16_t Settings::port(std::string_view name) const {
  const std::string& value = text(name);
  const auto port = parse_port(value);
  if (!port) refuse(name, "a port: a number from 0 to 65535, 0 for any free one");
  return *port;
}

unsigned Settings::count(std::string_view name) const {
  const std::string& value = text(name);
  unsigned count = 0;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (failure != std::errc{} || end != value.data() + value.size() || count == 0) refuse(name, "a number from 1 on");
  return count;
}

std::optional<unsigned> Settings::count_or_none(std::string_view name, std::string_view none) const {
  if (text(name) == none) return std::nullopt;
  return count(name);
}

std::vector<std::string> Settings::names(std::string_view name) const {
  std::vector<std::string> names;
  std::string_view rest = text(name);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view each = trim(rest.substr(0, comma));
    if (!each.empty()) names.emplace_back(each);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return names;
}

std::size_t Settings::size(std::string_view name) const {
  const auto size = parse_size(text(name));
  if (!size) refuse(name, "a size, such as 64KiB or 1MiB");
  return *size;
}

Duration Settings::duration(std::string_view name) const {
  const auto duration = parse_duration(text(name));
  if (!duration) refuse(name, "a duration, such as 500ms, 30s or 5m");
  return *duration;
}

}  // namespace coax::app
