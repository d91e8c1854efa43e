// The thread of a database: it takes all work that waits, does it in one transaction, commits, and only then completes
// it.
#include "coax/store/database.hpp"

#include <fmt/core.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/loop/loop.hpp"
#include "coax/store/sqlite_private.hpp"
#include "coax/task/blocked_signals_private.hpp"
#include "coax/task/offload.hpp"

namespace coax::store {

// --- values and rows ---

namespace {

[[noreturn]] void refuse_value(std::string_view wanted, bool is_null) {
  throw Error(ErrorKind::invalid, "read", "a value of the database",
              is_null ? "it is null; ask is_null() before" : "it is not " + std::string(wanted));
}

template <class T>
const T& require(const SqlValue::Data& data, std::string_view wanted) {
  const auto* const found = std::get_if<T>(&data);
  if (found == nullptr) refuse_value(wanted, std::holds_alternative<std::monostate>(data));
  return *found;
}

}  // namespace

std::int64_t SqlValue::integer() const { return require<std::int64_t>(data_, "an integer"); }
double SqlValue::number() const {
  const auto* const integer = std::get_if<std::int64_t>(&data_);
  return integer != nullptr ? static_cast<double>(*integer) : require<double>(data_, "a number");
}
const std::string& SqlValue::text() const { return require<std::string>(data_, "a text"); }
const std::string& SqlValue::blob() const { return require<Blob>(data_, "a blob").bytes; }

http::Value SqlValue::to_value() const {
  struct Visitor {
    http::Value operator()(std::monostate) const { return {}; }
    http::Value operator()(std::int64_t integer) const { return integer; }
    http::Value operator()(double number) const { return number; }
    http::Value operator()(const std::string& text) const { return text; }
    http::Value operator()(const Blob&) const { refuse_value("a text or a number, but a blob", false); }
  };
  return std::visit(Visitor(), data_);
}

const SqlValue& Row::operator[](std::string_view column) const {
  for (std::size_t index = 0; index < columns_->size(); ++index) {
    if ((*columns_)[index] == column) return values_[index];
  }
  throw Error(ErrorKind::invalid, "read the column", column, "the row has no such column");
}

const SqlValue& Row::operator[](std::size_t index) const {
  if (index < values_.size()) return values_[index];
  throw Error(ErrorKind::invalid, "read the column", std::to_string(index), "the row has fewer columns");
}

http::Value Row::to_value() const {
  std::vector<http::Member> members;
  for (std::size_t index = 0; index < columns_->size(); ++index) {
    members.push_back({(*columns_)[index], values_[index].to_value()});
  }
  return http::Value::object(std::move(members));
}

const Row& Rows::operator[](std::size_t index) const {
  if (index < rows_.size()) return rows_[index];
  throw Error(ErrorKind::invalid, "read the row", std::to_string(index),
              fmt::format("the statement has returned {}; ask empty() or size() before", rows_.size()));
}

http::Value Rows::to_value() const {
  http::Value::List list;
  for (const Row& row : rows_) list.push_back(row.to_value());
  return http::Value::list(std::move(list));
}

// --- the thread ---

class DatabaseThread {
 public:
  using Work = Database::Work;
  using Batch = std::vector<std::unique_ptr<Work>>;

  DatabaseThread(const std::string& path, const DatabaseOptions& options) : sqlite_(path, options) {}
  DatabaseThread(const DatabaseThread&) = delete;
  DatabaseThread& operator=(const DatabaseThread&) = delete;
  // What waits is executed first.
  ~DatabaseThread() {
    {
      const std::scoped_lock lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

  void submit(std::unique_ptr<Work> work) {
    if (Loop::current().backend().is_simulated()) {  // a thread would lose every race against simulated time
      Batch batch;
      batch.push_back(std::move(work));
      const std::scoped_lock lock(mutex_);
      return run(batch);
    }
    const std::scoped_lock lock(mutex_);
    if (!thread_.joinable()) {
      const detail::BlockedSignals blocked;
      thread_ = std::thread([this] { loop(); });
    }
    queue_.push_back(std::move(work));
    changed_.notify_one();
  }

  [[nodiscard]] Sqlite& sqlite() noexcept { return sqlite_; }

 private:
  static constexpr std::size_t batch_max = 1000;

  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_over_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Batch batch = take();
      lock.unlock();
      run(batch);
      batch.clear();
      lock.lock();
    }
  }

  Batch take() {
    Batch batch;
    while (!queue_.empty() && batch.size() < batch_max) {
      if (queue_.front()->is_alone && !batch.empty()) break;
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
      if (batch.back()->is_alone) break;
    }
    return batch;
  }

  void run(Batch& batch) {
    std::vector<Work*> done;
    std::exception_ptr error;
    try {
      if (batch.front()->is_alone) {
        Connection connection(*this);
        batch.front()->run(connection);
        return batch.front()->complete();
      }
      sqlite_.control("begin");
      for (const auto& work : batch) run(*work, done);
      sqlite_.control("commit");
    } catch (...) {
      error = std::current_exception();
      if (sqlite_.in_transaction()) roll_back("rollback");
    }
    if (!error) {
      for (Work* const work : done) work->complete();
      return;
    }
    for (std::size_t index = 0; index + 1 < batch.size(); ++index) batch[index]->fail(error);
    batch.back()->fail(std::move(error));
  }

  // Throws: when the whole transaction is lost.
  void run(Work& work, std::vector<Work*>& done) {
    sqlite_.control("savepoint work");
    std::exception_ptr error;
    try {
      Connection connection(*this);
      work.run(connection);
      sqlite_.control("release work");
    } catch (...) {
      if (!sqlite_.in_transaction()) throw;  // SQLite has rolled it back: the disk is full, for one
      sqlite_.control("rollback to work");
      sqlite_.control("release work");
      error = std::current_exception();
    }
    if (error) {
      work.fail(std::move(error));
    } else {
      done.push_back(&work);
    }
  }

  void roll_back(const char* sql) noexcept {
    try {
      sqlite_.control(sql);
    } catch (const std::exception&) {  // it has been rolled back already
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Work>> queue_;
  bool is_over_ = false;
  Sqlite sqlite_;
  std::thread thread_;
};

Rows Connection::run(std::string_view sql, const std::vector<SqlValue>& values) {
  return thread_.sqlite().execute(sql, values, true);
}

Rows Connection::run_alone(std::string_view sql, const std::vector<SqlValue>& values) {
  return thread_.sqlite().execute(sql, values, false);
}

// --- the handle ---

Task<Database> Database::open(std::string path, DatabaseOptions options) {
  auto thread =
      co_await offload([path = std::move(path), options] { return std::make_shared<DatabaseThread>(path, options); });
  co_return Database(std::move(thread));
}

void Database::submit(std::unique_ptr<Work> work) const { thread_->submit(std::move(work)); }

void Database::post(std::move_only_function<void(Connection&)> function,
                    std::move_only_function<void(std::exception_ptr)> done) const {
  struct PostedWork final : Work {
    void run(Connection& connection) override { function(connection); }
    void complete() override { done(nullptr); }
    void fail(std::exception_ptr error) override { done(std::move(error)); }

    std::move_only_function<void(Connection&)> function;
    std::move_only_function<void(std::exception_ptr)> done;
  };
  auto work = std::make_unique<PostedWork>();
  work->function = std::move(function);
  work->done = std::move(done);
  submit(std::move(work));
}

namespace {

// SQLite refuses these within a transaction.
bool needs_no_transaction(std::string_view sql) {
  const std::string_view text = trim(sql);
  for (const std::string_view word : {"pragma", "vacuum", "attach", "detach"}) {
    if (equal_ignoring_case(text.substr(0, word.size()), word)) return true;
  }
  return false;
}

}  // namespace

Task<Rows> Database::run(std::string sql, std::vector<SqlValue> values) const {
  const bool is_alone = needs_no_transaction(sql);
  return call([sql = std::move(sql),
               values = std::move(values)](Connection& connection) { return connection.run_alone(sql, values); },
              is_alone);
}

}  // namespace coax::store
