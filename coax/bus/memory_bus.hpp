// MemoryBus: a bus within one process. Its records are lost with it.
#pragma once

#include <memory>
#include <string>

#include "coax/bus/bus.hpp"

namespace coax {

// Thread: any thread with a loop. Its tasks do not wait.
class MemoryBus final : public Bus {
 public:
  MemoryBus();
  ~MemoryBus() override;

  // Throws: Error(invalid) for another durability than `memory`.
  Task<std::shared_ptr<Subject>> open(std::string name, SubjectOptions options) override;
  Task<> erase(std::string name) override;
  Task<std::vector<std::string>> names() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A subject without a bus.
std::shared_ptr<Subject> memory_subject(SubjectOptions options = {});

}  // namespace coax
