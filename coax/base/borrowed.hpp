// OwnedOrBorrowed: an owned object, or a reference to one that outlives it.
#pragma once

#include <optional>
#include <utility>

#include "coax/base/compiler.hpp"

namespace coax {

template <class T>
class OwnedOrBorrowed {
 public:
  explicit OwnedOrBorrowed(T& borrowed) noexcept : borrowed_(&borrowed) {}
  template <class... Arguments>
  explicit OwnedOrBorrowed(std::in_place_t, Arguments&&... arguments)
      : own_(std::in_place, std::forward<Arguments>(arguments)...) {}

  T& operator*() noexcept { return borrowed_ != nullptr ? *borrowed_ : *own_; }
  T* operator->() noexcept { return &**this; }
  const T& operator*() const noexcept { return borrowed_ != nullptr ? *borrowed_ : *own_; }
  const T* operator->() const noexcept { return &**this; }

 private:
  T* borrowed_ = nullptr;
  std::optional<T> own_;
};

}  // namespace coax
