// The descriptors of one back-end, by their index. A slot that is released gets another generation for its next owner,
// so that an earlier name finds nothing.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "coax/loop/op.hpp"

namespace coax {

// A Slot has `std::uint32_t generation` and `bool open`, and is constructed anew for each owner.
template <class Slot>
class Slots {
 public:
  [[nodiscard]] const Slot* find(Descriptor descriptor) const noexcept {
    if (descriptor.index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[descriptor.index];
    return slot.generation == descriptor.generation ? &slot : nullptr;  // a free slot has a generation of its own
  }
  // Valid until the next take().
  [[nodiscard]] Slot* find(Descriptor descriptor) noexcept {
    return const_cast<Slot*>(std::as_const(*this).find(descriptor));
  }
  Descriptor take() {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    slots_[index].open = true;
    return {.index = index, .generation = slots_[index].generation};
  }
  void release(Descriptor descriptor) {
    slots_[descriptor.index] = Slot{.generation = descriptor.generation + 1};
    free_.push_back(descriptor.index);
  }
  // Calls visit(descriptor) for each that is open.
  template <class Visit>
  void for_each(Visit visit) {
    for (std::uint32_t index = 0; index < slots_.size(); ++index) {
      if (slots_[index].open) visit(Descriptor{.index = index, .generation = slots_[index].generation});
    }
  }

 private:
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace coax
