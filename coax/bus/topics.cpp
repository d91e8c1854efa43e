// The owner of a topic is the caller; the map only knows where it is. The last owner removes the name, unless another
// thread has made a new topic of that name in the meantime.
#include "coax/bus/topics.hpp"

#include <map>
#include <mutex>
#include <string>

namespace coax {

struct Topics::State {
  explicit State(std::size_t count) noexcept : forms(count) {}

  const std::size_t forms;
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<Topic>, std::less<>> topics;
};

Topics::Topics(std::size_t forms) : state_(std::make_shared<State>(forms)) {}
Topics::~Topics() = default;

std::shared_ptr<Topic> Topics::operator[](std::string_view name) {
  auto remove = [state = state_, name = std::string(name)](Topic* topic) noexcept {
    delete topic;
    const std::scoped_lock lock(state->mutex);
    const auto found = state->topics.find(name);
    if (found != state->topics.end() && found->second.expired()) state->topics.erase(found);
  };
  std::shared_ptr<Topic> made(new Topic(state_->forms),
                              std::move(remove));  // before the lock: when it is not needed, it is removed
  const std::scoped_lock lock(state_->mutex);
  std::weak_ptr<Topic>& place = state_->topics[std::string(name)];
  if (std::shared_ptr<Topic> topic = place.lock()) return topic;
  place = made;
  return made;
}

std::size_t Topics::size() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->topics.size();
}

}  // namespace coax
