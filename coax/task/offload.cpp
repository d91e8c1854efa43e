// The thread pools of offload(): four, which share nothing. Their threads are kept until the process ends.
#include "coax/task/offload.hpp"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "coax/base/error.hpp"
#include "coax/task/blocked_signals_private.hpp"

namespace coax::detail {

class Threads {
 public:
  static Threads& of(const Work& work) {
    static Threads kept(8);
    static Threads abandonable(8);
    static Threads bulk(2);
    static Threads cpu(std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 8));
    switch (work.pool_) {
      case Work::Pool::kept: return kept;
      case Work::Pool::abandonable: return abandonable;
      case Work::Pool::bulk: return bulk;
      case Work::Pool::cpu: return cpu;
    }
    std::unreachable();
  }
  explicit Threads(std::size_t threads_max) : threads_max_(threads_max) {}
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads();

  void begin(Work& work);
  Work::LetGo let_go(Work& work) noexcept;

 private:
  struct Worker {
    std::thread thread;
    bool is_busy = false;
  };
  // Outlives the pool, for a thread that is busy when the process ends.
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    List<Work> queue;
    std::size_t queued = 0;
    std::size_t idle = 0;
    std::list<Worker> workers;
    bool is_over = false;
  };

  static void work(const std::shared_ptr<Shared>& shared, Worker& self) noexcept;
  void start_one();

  const std::size_t threads_max_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Joins the idle threads. The end of the process waits for no blocking call.
Threads::~Threads() {
  std::unique_lock lock(shared_->mutex);
  shared_->is_over = true;
  shared_->changed.notify_all();
  for (Worker& worker : shared_->workers) {
    if (worker.is_busy) {
      worker.thread.detach();
      continue;
    }
    lock.unlock();
    worker.thread.join();
    lock.lock();
  }
}

void Threads::start_one() {
  const BlockedSignals blocked;
  Worker& worker = shared_->workers.emplace_back();
  try {
    worker.thread = std::thread([shared = shared_, &worker] { work(shared, worker); });
  } catch (...) {
    shared_->workers.pop_back();
    throw;
  }
}

void Threads::begin(Work& work) {
  const std::scoped_lock lock(shared_->mutex);
  if (shared_->queued >= shared_->idle && shared_->workers.size() < threads_max_) {
    try {
      start_one();
    } catch (const std::system_error& error) {
      if (shared_->workers.empty()) throw Error(error.code().value(), "start", "a thread");
    }
  }
  shared_->queue.push_back(work);
  ++shared_->queued;
  shared_->changed.notify_one();
}

Work::LetGo Threads::let_go(Work& work) noexcept {
  const std::scoped_lock lock(shared_->mutex);
  if (work.state_ == Work::State::queued) {
    work.unlink();
    --shared_->queued;
    return Work::LetGo::withdrawn;
  }
  if (work.state_ == Work::State::ended || work.pool_ != Work::Pool::abandonable) return Work::LetGo::too_late;
  work.state_ = Work::State::abandoned;
  return Work::LetGo::abandoned;
}

void Threads::work(const std::shared_ptr<Shared>& shared, Worker& self) noexcept {
  std::unique_lock lock(shared->mutex);
  while (true) {
    ++shared->idle;
    shared->changed.wait(lock, [&] { return shared->is_over || !shared->queue.empty(); });
    --shared->idle;
    if (shared->is_over) return;
    Work& work = shared->queue.pop_front();
    --shared->queued;
    work.state_ = Work::State::running;
    self.is_busy = true;
    lock.unlock();
    work.run();
    lock.lock();
    if (work.state_ == Work::State::abandoned) {
      lock.unlock();
      delete &work;  // an abandoned piece of work is ours
      lock.lock();
    } else {
      work.state_ = Work::State::ended;
      // Under the lock, so that it is not abandoned in between. Once posted, the work may be destroyed.
      work.home_->post([then = work.then_] { Loop::current().finish_later(*then); });
    }
    self.is_busy = false;
  }
}

void Work::begin(Completion& then) {
  home_ = &Loop::current();
  then_ = &then;
  if (home_->backend().is_simulated()) {  // a thread would lose every race against simulated time
    run();
    state_ = State::ended;
    return home_->finish_later(then);
  }
  Threads::of(*this).begin(*this);
}

Work::LetGo Work::let_go() noexcept { return Threads::of(*this).let_go(*this); }

}  // namespace coax::detail
