// Runs the instructions of a template: everything is appended to one string.
#include <span>

#include "coax/http/template_evaluate_private.hpp"
#include "coax/http/template_program_private.hpp"

namespace coax::http::templates {

namespace {

using ValueKind = Value::Kind;

class Run {
 public:
  Run(const Program& program, const Value& data, const TemplateOptions& options)
      : program_(program),
        output_bytes_max_(options.output_bytes_max),
        budget_(options),
        evaluator_(program.names, data, budget_) {
    const std::size_t last = program.output_bytes.load(std::memory_order_relaxed);
    output_.reserve(std::min(last + last / 16, output_bytes_max_) + 256);
  }

  std::string run() {
    while (at_ < program_.instructions.size()) step(program_.instructions[at_++]);
    program_.output_bytes.store(output_.size(), std::memory_order_relaxed);
    return std::move(output_);
  }

  [[nodiscard]] const Instruction& last() const noexcept { return program_.instructions[at_ == 0 ? 0 : at_ - 1]; }

 private:
  using Over = Instruction::Over;
  struct Loop {
    Value holder;  // keeps the elements, whatever is assigned meanwhile
    std::span<const Value> elements;
    std::span<const Member> members;
    std::size_t index = 0;
    const std::vector<std::uint32_t>* slots = nullptr;
    Over over = Over::elements;
    [[nodiscard]] std::size_t size() const noexcept { return elements.size() + members.size(); }
  };

  void step(const Instruction& instruction) {
    budget_.spend_steps(1);
    switch (instruction.kind) {
      case Instruction::Kind::text:
        output_.append(program_.text, instruction.target, instruction.count);
        check_output();
        break;
      case Instruction::Kind::output: write(instruction); break;
      case Instruction::Kind::jump: at_ = instruction.target; break;
      case Instruction::Kind::jump_unless:
        if (!evaluator_.truth(*instruction.expression)) at_ = instruction.target;
        break;
      case Instruction::Kind::loop: begin(instruction); break;
      case Instruction::Kind::next: next(instruction); break;
      case Instruction::Kind::leave: end_loop(); break;
      case Instruction::Kind::count: break;
      case Instruction::Kind::assign: assign(instruction); break;
      case Instruction::Kind::apply: applied_.push_back(output_.size()); break;
      case Instruction::Kind::applied: apply(instruction); break;
    }
  }

  void check_output() const {
    if (output_.size() > output_bytes_max_) refuse_output();
  }
  [[noreturn]] static void refuse_output() {
    throw Fault{"the output is too large; give the template less data, or raise TemplateOptions::output_bytes_max"};
  }

  void write(const Instruction& instruction) {
    if (instruction.expression->is_place()) return write(evaluator_.place(*instruction.expression), instruction.escape);
    Value scratch;
    write(evaluator_.evaluate(*instruction.expression, scratch), instruction.escape);
  }

  void write(const Value& value, Escape escape) {
    if (value.kind() == ValueKind::string && value.size() > output_bytes_max_ - output_.size()) refuse_output();
    append_escaped(output_, value, escape, budget_, spare_);
    check_output();
  }

  void apply(const Instruction& instruction) {
    const std::size_t begin = applied_.back();
    applied_.pop_back();
    budget_.spend_bytes(output_.size() - begin);
    std::vector<Value> arguments;
    arguments.emplace_back(output_.substr(begin));
    output_.resize(begin);
    const Value result = evaluator_.call(*instruction.expression, std::move(arguments));
    append_escaped(output_, result, {}, budget_, spare_);
    check_output();
  }

  Value copy_of(const Value& value) {
    if (value.kind() == ValueKind::string) budget_.spend_bytes(value.size());
    return value;
  }

  void assign(const Instruction& instruction) {
    Value scratch;
    const Value& value = evaluator_.evaluate(*instruction.expression, scratch);
    const auto& slots = *instruction.slots;
    if (&value != &scratch && value.kind() == ValueKind::string) budget_.spend_bytes(value.size());
    Value result = owned(value, scratch);
    if (slots.size() == 1) return evaluator_.slot(slots.front()).assign(std::move(result));
    require_parts(result, slots.size());
    for (std::size_t index = 0; index < slots.size(); ++index) {
      evaluator_.slot(slots[index]).assign(copy_of(result[index]));
    }
  }

  static void require_parts(const Value& value, std::size_t count) {
    if (value.kind() != ValueKind::list) throw Fault{kind_of(value) + " cannot be assigned to several variables"};
    if (value.size() != count) {
      throw Fault{"a list of " + std::to_string(value.size()) + " cannot be assigned to " + std::to_string(count) +
                  " variables"};
    }
  }

  // --- loops ---

  void begin(const Instruction& instruction) {
    Value scratch;
    const Value& value = evaluator_.evaluate(*instruction.expression, scratch);
    Loop loop{.slots = instruction.slots, .over = instruction.over};
    if (instruction.over == Over::items && value.kind() != ValueKind::object) {
      throw Fault{"'items' needs an object, not " + kind_of(value)};
    }
    switch (value.kind()) {
      case ValueKind::list:
      case ValueKind::object: loop.holder = value; break;
      case ValueKind::string: loop.holder = characters_of(value.as_string(), budget_); break;
      default: throw Fault{"{% for %} needs a list, an object or a string, not " + kind_of(value)};
    }
    if (loop.holder.kind() == ValueKind::list) {
      loop.elements = loop.holder.as_list();
    } else {
      loop.members = loop.holder.as_object();
    }
    if (loop.size() == 0) {
      at_ = instruction.target;
      return;
    }
    loops_.push_back(std::move(loop));
    bind(loops_.back());
  }

  void next(const Instruction& instruction) {
    Loop& loop = loops_.back();
    if (++loop.index == loop.size()) return end_loop();
    bind(loop);
    at_ = instruction.target;
  }

  Slot& slot(const Loop& loop, std::size_t index) noexcept { return evaluator_.slot((*loop.slots)[index]); }

  void bind(const Loop& loop) {
    const bool is_member = !loop.members.empty();
    if (loop.over == Over::items) {
      slot(loop, 0).assign(loop.members[loop.index].name);
      slot(loop, 1).value = &loop.members[loop.index].value;
      return;
    }
    const std::size_t element_slot = loop.over == Over::enumeration ? 1 : 0;
    if (element_slot == 1) slot(loop, 0).assign(static_cast<std::int64_t>(loop.index));
    if (is_member) {
      slot(loop, element_slot).assign(loop.members[loop.index].name);
      return;
    }
    const Value& element = loop.elements[loop.index];
    if (element_slot == 1 || loop.slots->size() == 1) {
      slot(loop, element_slot).value = &element;
      return;
    }
    require_parts(element, loop.slots->size());
    for (std::size_t index = 0; index < loop.slots->size(); ++index) slot(loop, index).value = &element[index];
  }

  // The variables keep their last values, as in Python.
  void end_loop() {
    const Loop& loop = loops_.back();
    for (const std::uint32_t index : *loop.slots) {
      Slot& slot = evaluator_.slot(index);
      if (slot.value != nullptr && slot.value != &slot.owned) slot.assign(copy_of(*slot.value));
    }
    loops_.pop_back();
  }

  const Program& program_;
  std::size_t output_bytes_max_;
  Budget budget_;
  Evaluator evaluator_;
  std::string output_;
  std::string spare_;
  std::size_t at_ = 0;
  std::vector<Loop> loops_;
  std::vector<std::size_t> applied_;
};

}  // namespace

std::string run_program(const Program& program, const Value& data, const TemplateOptions& options) {
  Run run(program, data, options);
  std::string reason;
  try {
    return run.run();
  } catch (const Fault& fault) {
    reason = fault.reason;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::invalid) throw;
    reason = error.what();
  }
  refuse(*program.sources[run.last().source], run.last().line, reason);
}

}  // namespace coax::http::templates
