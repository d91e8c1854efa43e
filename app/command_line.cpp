// Arguments are split as in CLI11 2.1: an option with one value takes the next argument, one with many values takes all
// up to the next option.
#include "app/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

namespace coax::app {

namespace {

constexpr int unlimited = CLI::detail::expected_max_vector_size;

std::string without_dashes(std::string_view word) {
  return std::string(word.substr(std::min(word.find_first_not_of('-'), word.size())));
}

// The edit distance with transpositions of neighbours (optimal string alignment).
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::vector<std::size_t>> rows(left.size() + 1, std::vector<std::size_t>(right.size() + 1));
  std::iota(rows.front().begin(), rows.front().end(), 0);
  for (std::size_t row = 1; row <= left.size(); ++row) {
    rows[row][0] = row;
    for (std::size_t column = 1; column <= right.size(); ++column) {
      const bool same = left[row - 1] == right[column - 1];
      std::size_t& cell = rows[row][column];
      cell = std::min({rows[row - 1][column] + 1, rows[row][column - 1] + 1, rows[row - 1][column - 1] + !same});
      const bool swapped =
          row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
      if (swapped) cell = std::min(cell, rows[row - 2][column - 2] + 1);
    }
  }
  return rows.back().back();
}

// "-h", "--help" of an option; empty for a positional argument.
std::vector<std::string> names_of(const CLI::Option& option) {
  return option.nonpositional() ? CLI::detail::split(option.get_name(false, true), ',') : std::vector<std::string>();
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> all;
  for (const CLI::Option* const option : command.get_options()) {
    const auto names = names_of(*option);
    all.insert(all.end(), names.begin(), names.end());
  }
  return all;
}

const CLI::Option* find_option(const CLI::App& command, std::string_view name) {
  for (const CLI::Option* const option : command.get_options()) {
    const auto names = names_of(*option);
    if (std::ranges::find(names, name) != names.end()) return option;
  }
  return nullptr;
}

bool is_flag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

const CLI::Option* argument_of(const CLI::App& command) {
  const auto options = command.get_options([](const CLI::Option* option) { return option->get_positional(); });
  return options.empty() ? nullptr : options.front();
}

// --- the arguments of one command ---

class Words {
 public:
  Words(const CLI::App& command, std::span<const std::string> words) : command_(command), words_(words) {}

  // The error; empty when there is none.
  std::string problem();

 private:
  bool read_option(const std::string& word);
  bool read_long(const std::string& word);
  bool read_short(const std::string& word);
  bool take_values(const CLI::Option& option, const std::string& name);
  bool refuse(std::string text) {
    problem_ = std::move(text);
    return false;
  }
  bool refuse_option(const std::string& name) {
    return refuse(suggest(fmt::format("there is no option {}", name), name, option_names(command_)));
  }

  const CLI::App& command_;
  std::span<const std::string> words_;
  std::size_t next_ = 0;
  std::string problem_;
};

std::string Words::problem() {
  std::vector<std::string> arguments;
  while (next_ != words_.size()) {
    const std::string& word = words_[next_++];
    if (word == "--") {
      arguments.insert(arguments.end(), words_.begin() + static_cast<std::ptrdiff_t>(next_), words_.end());
      break;
    }
    if (!word.starts_with('-') || word == "-") {
      arguments.push_back(word);
    } else if (!read_option(word)) {
      return problem_;
    }
  }
  const CLI::Option* const argument = argument_of(command_);
  const int most = argument == nullptr ? 0 : argument->get_items_expected_max();
  if (std::cmp_greater(arguments.size(), most)) {
    return suggest(fmt::format("\"{}\" is one argument too many", arguments[static_cast<std::size_t>(most)]),
                   arguments[static_cast<std::size_t>(most)], option_names(command_));
  }
  if (argument != nullptr && argument->get_required() && arguments.empty()) {
    return fmt::format("{} is missing", argument->get_type_name());
  }
  return {};
}

bool Words::read_option(const std::string& word) { return word.starts_with("--") ? read_long(word) : read_short(word); }

bool Words::read_long(const std::string& word) {
  const std::size_t equals = word.find('=');
  const std::string name = word.substr(0, equals);
  const CLI::Option* const option = find_option(command_, name);
  if (option == nullptr) return refuse_option(name);
  if (equals == std::string::npos) return take_values(*option, name);
  return !is_flag(*option) || refuse(fmt::format("{} takes no value", name));
}

// "-u", or several combined: "-xu".
bool Words::read_short(const std::string& word) {
  for (std::size_t at = 1; at != word.size(); ++at) {
    const std::string name = {'-', word[at]};
    const CLI::Option* const option = find_option(command_, name);
    if (option == nullptr) return refuse_option(at == 1 ? word : name);
    if (is_flag(*option)) continue;
    return at + 1 != word.size() || take_values(*option, name);
  }
  return true;
}

bool Words::take_values(const CLI::Option& option, const std::string& name) {
  if (is_flag(option)) return true;
  if (next_ == words_.size()) return refuse(fmt::format("{} needs a value: {}", name, option.get_type_name()));
  ++next_;
  if (option.get_items_expected_max() < unlimited) return true;
  while (next_ != words_.size() && !words_[next_].starts_with('-')) ++next_;
  return true;
}

bool asks_for_help(std::span<const std::string> words) {
  const auto end = std::ranges::find(words, "--");
  return std::any_of(words.begin(), end, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

const CLI::App* find_command(const CLI::App& program, const std::string& name) {
  for (const CLI::App* const command : program.get_subcommands({})) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

std::vector<std::string> command_names(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* const command : program.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

Request unknown_command(const CLI::App& program, const std::string& word) {
  auto known = command_names(program);
  known.insert(known.end(), {"help", "--version"});
  return {.kind = Request::Kind::wrong, .text = suggest(fmt::format("there is no command \"{}\"", word), word, known)};
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  const std::string given = without_dashes(word);
  std::string best;
  std::size_t least = std::max<std::size_t>(given.size() / 3, given.size() > 1 ? 1 : 0) + 1;
  for (const std::string& each : known) {
    const std::size_t differs = distance(given, without_dashes(each));
    if (differs >= least) continue;
    least = differs;
    best = each;
  }
  if (!best.empty() || given.empty()) return best;
  const auto begins_so = [&given](const std::string& each) { return without_dashes(each).starts_with(given); };
  return std::ranges::count_if(known, begins_so) == 1 ? *std::ranges::find_if(known, begins_so) : best;
}

std::string suggest(std::string text, std::string_view word, const std::vector<std::string>& known) {
  const std::string meant = nearest(word, known);
  return meant.empty() ? text : fmt::format("{}; did you mean {}?", text, meant);
}

Request request_of(const CLI::App& program, std::span<const std::string> words) {
  using Kind = Request::Kind;
  if (words.empty()) {
    return {.kind = Kind::wrong, .text = fmt::format("give a command: {}", fmt::join(command_names(program), ", "))};
  }
  const std::string& first = words.front();
  if (first == "-h" || first == "--help" || (first == "help" && words.size() == 1)) return {.kind = Kind::help};
  if (first == "-V" || first == "--version") return {.kind = Kind::version};
  if (first.starts_with('-')) {
    return {
        .kind = Kind::wrong,
        .text = suggest(fmt::format("there is no option {} before the command", first), first, option_names(program))};
  }
  const std::string& name = first == "help" ? words[1] : first;
  const CLI::App* const command = find_command(program, name);
  if (command == nullptr) return unknown_command(program, name);
  words = words.subspan(1);
  if (first == "help" || asks_for_help(words)) return {.kind = Kind::help, .command = command};
  std::string problem = Words(*command, words).problem();
  if (!problem.empty()) return {.kind = Kind::wrong, .command = command, .text = std::move(problem)};
  return {.command = command};
}

// --- the help ---

namespace {

constexpr std::size_t columns = 110;
constexpr std::size_t text_column = 30;

// "  left   right", with the right column broken at blanks and at its own line ends.
std::string entry(const std::string& left, std::string_view right) {
  std::string out = fmt::format("  {:<{}}", left, text_column - 2);
  std::size_t column = out.size();
  const std::string indent = "\n" + std::string(text_column, ' ');
  if (column > text_column || left.size() + 4 > text_column) {
    out = "  " + left + indent;
    column = text_column;
  }
  while (!right.empty()) {
    const std::size_t end = std::min(right.find_first_of(" \n"), right.size());
    if (column > text_column && column + end + 1 > columns) {
      out += indent;
      column = text_column;
    }
    if (column > text_column) out += ' ';
    out += right.substr(0, end);
    column += end + 1;
    right.remove_prefix(std::min(end + 1, right.size()));
  }
  return out + "\n";
}

std::string usage_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "coax COMMAND [OPTIONS]";
  std::string text = fmt::format("coax {} [OPTIONS]", command.get_name());
  const CLI::Option* const argument = argument_of(command);
  if (argument == nullptr) return text;
  const bool is_list = argument->get_items_expected_max() >= unlimited;
  const std::string type = argument->get_type_name() + (is_list ? "..." : "");
  return text + (argument->get_required() ? " " + type : " [" + type + "]");
}

std::string label_of(const CLI::Option& option) {
  std::string text = fmt::format("{}", fmt::join(names_of(option), ", "));
  if (!is_flag(option)) text += " " + option.get_type_name();
  return option.get_items_expected_max() >= unlimited ? text + "..." : text;
}

}  // namespace

std::string help_of(const CLI::App& command) {
  std::string text = fmt::format("{}\n\nUsage: {}\n", command.get_description(), usage_of(command));
  if (const CLI::Option* const argument = argument_of(command)) {
    text += "\n" + entry(argument->get_type_name(), argument->get_description());
  }
  const auto commands = command.get_subcommands({});
  if (!commands.empty()) text += "\nCommands:\n";
  for (const CLI::App* const each : commands) text += entry(each->get_name(), each->get_description());
  text += "\nOptions:\n";
  for (const CLI::Option* const option : command.get_options()) {
    if (option->nonpositional()) text += entry(label_of(*option), option->get_description());
  }
  return text + "\n" + command.get_footer() + "\n";
}

}  // namespace coax::app
