// An intrusive doubly linked list: the hook lives in the element, so that linking allocates nothing and an element can
// leave its list in O(1) without knowing which one it is in. A hook unlinks itself when it is destroyed.
#pragma once

#include <utility>

#include "coax/base/compiler.hpp"

namespace coax {

class ListHook {
 public:
  ListHook() noexcept = default;
  // An element in a list cannot be moved: only one that is in no list may be.
  ListHook(ListHook&&) noexcept {}
  ListHook& operator=(ListHook&&) = delete;
  ~ListHook() { unlink(); }

  [[nodiscard]] bool linked() const noexcept { return next_ != this; }
  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = this;
  }

 private:
  template <class T>
  friend class List;
  ListHook* next_ = this;
  ListHook* previous_ = this;
};

// T derives from ListHook. Owns nothing; elements that are still linked when the list ends are unlinked.
template <class T>
class List {
 public:
  List() noexcept = default;
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (head_.linked()) head_.next_->unlink();
  }

  [[nodiscard]] bool empty() const noexcept { return !head_.linked(); }
  [[nodiscard]] T& front() noexcept { return static_cast<T&>(*head_.next_); }
  void push_back(T& element) noexcept { insert_before(head_, element); }
  T& pop_front() noexcept {
    T& element = front();
    static_cast<ListHook&>(element).unlink();
    return element;
  }
  // Moves all elements of `other` to the end of this list, O(1).
  void splice_back(List& other) noexcept {
    if (other.empty()) return;
    ListHook* first = other.head_.next_;
    ListHook* last = other.head_.previous_;
    other.head_.next_ = other.head_.previous_ = &other.head_;
    first->previous_ = head_.previous_;
    head_.previous_->next_ = first;
    last->next_ = &head_;
    head_.previous_ = last;
  }
  // Calls f(T&) on each; f may unlink the element that it is called with, and no other.
  template <class F>
  void for_each(F&& f) {
    for (ListHook* hook = head_.next_; hook != &head_;) {
      ListHook* next = hook->next_;
      f(static_cast<T&>(*hook));
      hook = next;
    }
  }

 private:
  static void insert_before(ListHook& position, ListHook& element) noexcept {
    element.unlink();
    element.previous_ = position.previous_;
    element.next_ = &position;
    position.previous_->next_ = &element;
    position.previous_ = &element;
  }
  ListHook head_;
};

}  // namespace coax
