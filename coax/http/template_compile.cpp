// From the tree of a template, with those that it extends and includes, to instructions. The context of the HTML is
// followed through all of them, so each expression gets the escaping of its place.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "coax/http/template_program_private.hpp"

namespace coax::http::templates {

namespace {

constexpr std::size_t nodes_max = 200'000;
constexpr std::size_t nesting_max = 300;  // of blocks, branches and included templates within each other
constexpr std::size_t ancestors_max = 32;
constexpr std::size_t text_bytes_max = 16_MiB;
constexpr std::size_t sources_max = 1000;

// Where the HTML is, or nothing after {% break %} and {% continue %}.
using Flow = std::optional<Context>;

template <class F>
auto at(const Source& source, std::uint32_t line, F function) {
  try {
    return function();
  } catch (const Fault& fault) {
    refuse(source, line, fault.reason);
  }
}

class Compiler {
 public:
  Compiler(Program& program, const ReadSource& read) : program_(program), read_(read) {}

  void run(const std::string& name) {
    const Source* source = load(name);
    std::vector<const Source*> ancestors{source};
    while (!source->extends.empty()) {
      source = at(*source, source->extends_line, [&] { return load(resolve_name(source->extends, source->name)); });
      if (std::ranges::find(ancestors, source) != ancestors.end() || ancestors.size() == ancestors_max) {
        refuse(*ancestors.front(), ancestors.front()->extends_line,
               "the template extends itself: '" + source->name + "' again");
      }
      ancestors.push_back(source);
    }
    for (auto ancestor = ancestors.rbegin(); ancestor != ancestors.rend(); ++ancestor) {
      seen_.clear();
      collect((*ancestor)->body, **ancestor);
    }
    including_ = ancestors;
    enter(*source);
    flow_ = context_of(source->name);
    emit(source->body);
    if (source->is_escaped && flow_) at(*source, last_line_, [&] { flow_->require_end(); });
  }

 private:
  using Kind = Instruction::Kind;
  struct Block {
    const Node* node;
    const Source* source;
  };
  struct Loop {
    bool is_each = false;
    std::vector<std::size_t> exits;  // instructions to patch
    std::vector<std::size_t> nexts;
    Flow exit;
    Flow next;
  };

  const Source* load(const std::string& name) {
    if (const auto found = loaded_.find(name); found != loaded_.end()) return found->second;
    if (program_.sources.size() == sources_max) throw Fault{"too many templates are included"};
    SourceText text = read_(name);
    auto source = std::make_unique<const Source>(
        parse_source(name, std::move(text.shown), text.text, {program_.names, program_.functions}));
    const Source* result = source.get();
    program_.sources.push_back(std::move(source));
    loaded_.emplace(name, result);
    return result;
  }

  const Source* included(const Node& node, const Source& by) {
    return at(by, node.line, [&] { return load(resolve_name(node.text, by.name)); });
  }

  // The last definition of each block wins: the ancestors are visited first.
  void collect(const std::vector<Node>& nodes, const Source& source) {
    for (const Node& node : nodes) {
      if (node.kind == Node::Kind::block) blocks_[node.text] = {&node, &source};
      if (node.kind == Node::Kind::include) {
        const Source* other = included(node, source);
        if (seen_.insert(other).second) collect(other->body, *other);
      }
      for (const Node::Branch& branch : node.branches) collect(branch.body, source);
    }
  }

  // --- instructions ---

  void enter(const Source& source) {
    source_ = &source;
    const auto is_it = [&](const auto& other) { return other.get() == &source; };
    source_index_ =
        static_cast<std::uint32_t>(std::ranges::find_if(program_.sources, is_it) - program_.sources.begin());
  }

  std::size_t add(Kind kind, const Node& node, const Expression* expression = nullptr) {
    program_.instructions.push_back(
        {.kind = kind, .line = node.line, .source = source_index_, .expression = expression, .slots = &node.slots});
    return program_.instructions.size() - 1;
  }
  [[nodiscard]] std::uint32_t here() const { return static_cast<std::uint32_t>(program_.instructions.size()); }
  void patch(const std::vector<std::size_t>& indices) {
    for (const std::size_t index : indices) program_.instructions[index].target = here();
    last_target_ = program_.instructions.size();
  }
  void patch(std::size_t index) { patch(std::vector{index}); }

  void emit(const std::vector<Node>& nodes) {
    if (++depth_ > nesting_max) refuse(*source_, last_line_, "templates or blocks contain each other without an end");
    for (const Node& node : nodes) {
      if (++nodes_ > nodes_max) refuse(*source_, node.line, "the template becomes too large with all that it includes");
      if (!flow_) break;  // unreachable
      last_line_ = node.line;
      emit(node);
    }
    --depth_;
  }

  void emit(const Node& node) {
    switch (node.kind) {
      case Node::Kind::text: return text(node);
      case Node::Kind::output: return output(node);
      case Node::Kind::raw: add(Kind::output, node, &node.expression); return;
      case Node::Kind::choice: return choice(node);
      case Node::Kind::each:
      case Node::Kind::repeat: return loop(node);
      case Node::Kind::stop:
      case Node::Kind::next: return leave(node);
      case Node::Kind::assign: add(Kind::assign, node, &node.expression); return;
      case Node::Kind::block: {
        const Block& block = blocks_.at(node.text);
        return nested(block.node->branches.front().body, *block.source);
      }
      case Node::Kind::include: {
        const Source* other = included(node, *source_);
        if (std::ranges::find(including_, other) != including_.end()) {
          refuse(*source_, node.line, "the template includes itself: '" + other->name + "' again");
        }
        including_.push_back(other);
        nested(other->body, *other);
        including_.pop_back();
        return;
      }
      case Node::Kind::apply: {
        add(Kind::apply, node);
        settle(node.line);
        const Flow before = flow_;
        std::vector<Loop> outside = std::exchange(loops_, {});  // a block may come from within a loop elsewhere
        emit(node.branches.front().body);
        loops_ = std::move(outside);
        settle(node.line);
        merge(flow_, before, node, "{% apply %} begins and ends");
        add(Kind::applied, node, &node.expression);
        return;
      }
    }
  }

  void nested(const std::vector<Node>& nodes, const Source& source) {
    const Source& before = *source_;
    enter(source);
    emit(nodes);
    enter(before);
  }

  void text(const Node& node) {
    at(*source_, node.line, [&] {
      if (source_->is_escaped) return flow_->advance(node.text);
      try {
        flow_->advance(node.text);
      } catch (const Fault&) {  // nothing of this file is escaped, so no place of it matters
      }
    });
    if (program_.text.size() + node.text.size() > text_bytes_max) {
      refuse(*source_, node.line, "the template becomes too large with all that it includes");
    }
    // Texts next to each other become one, unless something jumps to the second.
    auto& all = program_.instructions;
    if (!all.empty() && all.back().kind == Kind::text && last_target_ != all.size()) {
      all.back().count += static_cast<std::uint32_t>(node.text.size());
    } else {
      const std::size_t index = add(Kind::text, node);
      all[index].target = static_cast<std::uint32_t>(program_.text.size());
      all[index].count = static_cast<std::uint32_t>(node.text.size());
    }
    program_.text += node.text;
  }

  void output(const Node& node) {
    Escape escape;
    if (source_->is_escaped) escape = at(*source_, node.line, [&] { return flow_->expression(); });
    program_.instructions[add(Kind::output, node, &node.expression)].escape = escape;
  }

  void settle(std::uint32_t line) {
    if (!flow_) return;
    try {
      flow_->settle();
    } catch (const Fault& fault) {
      if (source_->is_escaped) refuse(*source_, line, fault.reason);
    }
  }

  void merge(Flow& into, const Flow& other, const Node& node, std::string_view what) const {
    if (!other) return;
    if (!into) {
      into = other;
      return;
    }
    const Flow both = join(*into, *other);
    if (both) {
      into = both;
    } else if (source_->is_escaped) {
      refuse(*source_, node.line,
             std::string(what) + " at different places of the HTML: in " + into->describe() + ", and in " +
                 other->describe() + "; close in each branch what it opens");
    }
  }

  void choice(const Node& node) {
    settle(node.line);
    const Flow before = flow_;
    Flow after;
    std::vector<std::size_t> ends;
    for (const Node::Branch& branch : node.branches) {
      flow_ = before;
      std::optional<std::size_t> test;
      if (branch.condition) {
        test = add(Kind::jump_unless, node, &*branch.condition);
        program_.instructions[*test].line = branch.line;
      }
      emit(branch.body);
      settle(node.line);
      merge(after, flow_, node, "the branches of {% if %} end");
      const bool is_last = &branch == &node.branches.back();
      if (!is_last) ends.push_back(add(Kind::jump, node));
      if (test) patch(*test);
    }
    if (node.branches.back().condition) merge(after, before, node, "{% if %} begins and ends");
    patch(ends);
    flow_ = after;
  }

  // The second iteration begins where the first one ended: when that is another place, the body is compiled again for
  // what both have in common.
  void loop(const Node& node) {
    settle(node.line);
    const Flow before = flow_;
    const std::size_t instructions = program_.instructions.size();
    const std::size_t text_bytes = program_.text.size();
    Flow begin = before;
    while (true) {
      flow_ = begin;
      Loop loop = loop_body(node);
      Flow again = begin;
      merge(again, flow_, node, "a loop begins and ends");
      merge(again, loop.next, node, "{% continue %} leaves a loop");
      if (again == begin) return loop_end(node, std::move(loop), begin);
      program_.instructions.resize(instructions);
      program_.text.resize(text_bytes);
      last_target_ = instructions;
      begin = again;
    }
  }

  Loop loop_body(const Node& node) {
    const Node::Branch& body = node.branches.front();
    Loop loop{.is_each = node.kind == Node::Kind::each};
    std::size_t first = 0;
    if (loop.is_each) {
      first = add(Kind::loop, node, &node.expression);
      set_source_of_elements(program_.instructions[first], node);
    } else {
      last_target_ = here();
      add(Kind::count, node);
      first = add(Kind::jump_unless, node, &*body.condition);
    }
    last_target_ = here();
    loops_.push_back(std::move(loop));
    emit(body.body);
    settle(node.line);
    loop = std::move(loops_.back());
    loops_.pop_back();
    patch(loop.nexts);
    const std::size_t last = add(loop.is_each ? Kind::next : Kind::jump, node);
    program_.instructions[last].target = static_cast<std::uint32_t>(loop.is_each ? first + 1 : first - 1);
    patch(first);
    return loop;
  }

  static void set_source_of_elements(Instruction& instruction, const Node& node) {
    const Expression& expression = node.expression;
    if (node.slots.size() != 2 || expression.kind != Expression::Kind::call || expression.children.size() != 1) return;
    if (expression.built_in != nullptr && expression.built_in == find_method("items")) {
      instruction.over = Instruction::Over::items;
    } else if (expression.built_in != nullptr && expression.built_in == find_function("enumerate")) {
      instruction.over = Instruction::Over::enumeration;
    } else {
      return;
    }
    instruction.expression = &expression.children.front();
  }

  void loop_end(const Node& node, Loop loop, const Flow& begin) {
    flow_ = begin;
    if (node.branches.size() == 2) {
      emit(node.branches[1].body);
      settle(node.line);
    }
    merge(flow_, loop.exit, node, "{% break %} leaves a loop");
    patch(loop.exits);
  }

  void leave(const Node& node) {
    settle(node.line);
    if (loops_.empty()) refuse(*source_, node.line, "a block with {% break %} or {% continue %} is outside of a loop");
    Loop& loop = loops_.back();
    const bool is_stop = node.kind == Node::Kind::stop;
    merge(is_stop ? loop.exit : loop.next, flow_, node, "{% break %} and {% continue %} stand");
    if (is_stop && loop.is_each) add(Kind::leave, node);
    (is_stop ? loop.exits : loop.nexts).push_back(add(Kind::jump, node));
    flow_ = std::nullopt;
  }

  Program& program_;
  const ReadSource& read_;
  std::map<std::string, const Source*, std::less<>> loaded_;
  std::map<std::string, Block, std::less<>> blocks_;
  std::set<const Source*> seen_;
  std::vector<const Source*> including_;
  std::vector<Loop> loops_;
  const Source* source_ = nullptr;
  std::uint32_t source_index_ = 0;
  std::uint32_t last_line_ = 1;
  std::size_t last_target_ = 0;  // the instruction that something jumps to, of the last ones
  std::size_t nodes_ = 0;
  std::size_t depth_ = 0;
  Flow flow_;
};

}  // namespace

std::string resolve_name(std::string_view name, std::string_view from) {
  const auto outside = [&] { return Fault{"the template '" + std::string(name) + "' is outside of the folder"}; };
  if (name.contains('\0') || name.contains('\\') || name.starts_with('/')) throw outside();
  std::string path(from.substr(0, from.rfind('/') + 1));  // npos + 1 is 0
  path += name;
  std::vector<std::string_view> segments;
  for (std::string_view rest = path; true;) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, slash);
    if (segment == "..") {
      if (segments.empty()) throw outside();
      segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
    if (slash == rest.size()) break;
    rest.remove_prefix(slash + 1);
  }
  std::string result;
  for (const std::string_view segment : segments) result.append(result.empty() ? "" : "/").append(segment);
  if (result.empty()) throw Fault{"the name of a template is missing"};
  return result;
}

std::shared_ptr<const Program> compile_program(const std::string& name, const OwnFunctions& functions,
                                               const ReadSource& read) {
  auto program = std::make_shared<Program>();
  program->functions = functions;
  Compiler(*program, read).run(name);
  return program;
}

}  // namespace coax::http::templates
