// Topics: topics by name, such as the rooms of a chat. Each exists while it is used.
//
//   Topics rooms;
//   const std::shared_ptr<Topic> room = rooms[name];
//   const Subscription subscription = room->subscribe(outbox);
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "coax/bus/topic.hpp"

namespace coax {

// Thread: any.
class Topics {
 public:
  // forms: of each topic, see Topic.
  explicit Topics(std::size_t forms = 1);
  Topics(const Topics&) = delete;
  Topics& operator=(const Topics&) = delete;
  ~Topics();

  // The topic of that name, which is made when it is missing. It is removed with its last owner, so that clients who
  // choose names do not fill the memory.
  // Lifetime: the topic may outlive the Topics.
  [[nodiscard]] std::shared_ptr<Topic> operator[](std::string_view name);
  // Of those that are used.
  [[nodiscard]] std::size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace coax
