// Database: SQLite in a file, on a thread of its own, so that no loop waits for a disk.
//
//   store::Database guests = co_await store::Database::open("guests.db");
//   co_await guests.execute("create table if not exists guests (name text, stars integer)");
//   co_await guests.execute("insert into guests values (?, ?)", name, 5);
//   for (const store::Row& row : co_await guests.execute("select * from guests where stars > ?", 3)) {
//     print_line("{} {}", row["name"].text(), row["stars"].integer());
//   }
//
// Statements that wait at the same time are committed together, so that many small ones cost one sync of the disk.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/http/value.hpp"
#include "coax/task/future.hpp"
#include "coax/task/task.hpp"

namespace coax::store {

// Bytes that are no text.
struct Blob {
  std::string bytes;
};

// A value of SQLite: null, an integer, a number, a text (UTF-8) or a blob.
class SqlValue {
 public:
  SqlValue() noexcept = default;
  SqlValue(std::nullptr_t) noexcept {}
  template <std::integral I>
  SqlValue(I value) noexcept : data_(static_cast<std::int64_t>(value)) {}
  template <std::floating_point F>
  SqlValue(F value) noexcept : data_(static_cast<double>(value)) {}
  SqlValue(std::string text) noexcept : data_(std::move(text)) {}
  SqlValue(std::string_view text) : data_(std::string(text)) {}
  SqlValue(const char* text) : data_(std::string(text)) {}
  SqlValue(Blob blob) noexcept : data_(std::move(blob)) {}
  template <class T>
  SqlValue(std::optional<T> value) {
    if (value) *this = SqlValue(std::move(*value));
  }

  [[nodiscard]] bool is_null() const noexcept { return std::holds_alternative<std::monostate>(data_); }
  // Throws: Error(invalid) when it is of another kind; number() takes integers, too.
  // Lifetime: of texts and blobs: that of the value.
  [[nodiscard]] std::int64_t integer() const;
  [[nodiscard]] double number() const;
  [[nodiscard]] const std::string& text() const;
  [[nodiscard]] const std::string& blob() const;
  // For a template, or as JSON. Throws: Error(invalid) for a blob, which JSON does not have.
  [[nodiscard]] http::Value to_value() const;
  operator http::Value() const { return to_value(); }

  using Data = std::variant<std::monostate, std::int64_t, double, std::string, Blob>;
  [[nodiscard]] const Data& data() const noexcept { return data_; }

 private:
  Data data_;
};

class Row {
 public:
  using Columns = std::shared_ptr<const std::vector<std::string>>;
  Row(Columns columns, std::vector<SqlValue> values) noexcept
      : columns_(std::move(columns)), values_(std::move(values)) {}

  // Throws: Error(invalid) when there is no such column.
  const SqlValue& operator[](std::string_view column) const;
  const SqlValue& operator[](std::size_t index) const;
  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  // An object with the columns as members, as is {{"guest", row}}. Throws: as SqlValue::to_value().
  [[nodiscard]] http::Value to_value() const;
  operator http::Value() const { return to_value(); }

 private:
  Columns columns_;
  std::vector<SqlValue> values_;
};

// The rows that a statement returned; none for one that only changes the database.
class Rows {
 public:
  [[nodiscard]] auto begin() const noexcept { return rows_.begin(); }
  [[nodiscard]] auto end() const noexcept { return rows_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  // Throws: Error(invalid) when there are not so many.
  const Row& operator[](std::size_t index) const;
  // Of the last insert, update or delete: the number of rows; the row id of an insert.
  [[nodiscard]] std::int64_t changes() const noexcept { return changes_; }
  [[nodiscard]] std::int64_t last_id() const noexcept { return last_id_; }
  // A list of objects, as is {{"guests", rows}}. Throws: as SqlValue::to_value().
  [[nodiscard]] http::Value to_value() const;

 private:
  friend class Sqlite;
  std::vector<Row> rows_;
  std::int64_t changes_ = 0;
  std::int64_t last_id_ = 0;
};

// The database on its own thread, for the function of Database::transaction().
class Connection {
 public:
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // As Database::execute(), but it blocks, and savepoints are allowed.
  template <class... Values>
  Rows execute(std::string_view sql, Values&&... values) {
    return run(sql, {SqlValue(std::forward<Values>(values))...});
  }
  Rows run(std::string_view sql, const std::vector<SqlValue>& values);

 private:
  friend class Database;
  friend class DatabaseThread;
  explicit Connection(class DatabaseThread& thread) noexcept : thread_(thread) {}
  Rows run_alone(std::string_view sql, const std::vector<SqlValue>& values);
  class DatabaseThread& thread_;
};

struct DatabaseOptions {
  // Whether a commit waits until the disk has it. Otherwise the last ones may be lost when the machine loses its power
  // (not when the program ends); the database stays consistent.
  bool sync = true;
  Duration busy_timeout = std::chrono::seconds(5);  // for locks of other processes
  std::size_t rows_bytes_max = 64_MiB;              // of the rows that one statement returns
};

// A handle; copies are the same database.
// Thread: any thread with a loop.
class Database {
 public:
  // Opens the file, or makes it, readable for its owner alone; ":memory:" is in memory. Its journal is write-ahead.
  // Throws: Error of the system; Error(protocol) when the file is no database.
  static Task<Database> open(std::string path, DatabaseOptions options = {});

  // Executes a statement; `?` stands for each value. A text without values may be several statements, such as a schema.
  // Returns: when it is committed.
  // Throws: Error(invalid) for faults of SQL, violated constraints, and begin, commit, rollback and savepoints, for
  // which transaction() is there; Error(timed_out) when another process kept its lock; Error of the system, such as
  // ENOSPC. After an error, it has changed nothing.
  // Cancelled: at once; it is executed all the same.
  template <class... Values>
  Task<Rows> execute(std::string sql, Values&&... values) const {
    return run(std::move(sql), {SqlValue(std::forward<Values>(values))...});
  }
  Task<Rows> run(std::string sql, std::vector<SqlValue> values) const;

  // Calls function(Connection&) on the database's thread, in one transaction: when it throws, nothing is changed.
  // Returns: its result, when it is committed.
  // Throws: what the function throws, and as execute().
  // Cancelled: at once; it is called all the same.
  // Lifetime: the function owns all that it uses, but not the database.
  template <class F>
  Task<std::invoke_result_t<F&, Connection&>> transaction(F function) const {
    return call(std::move(function), false);
  }

  // Without a wait: the same, in the order of the calls; then done(error), with a null pointer once it is committed.
  // Both are called on the database's thread, and `done` must neither block nor throw.
  void post(std::move_only_function<void(Connection&)> function,
            std::move_only_function<void(std::exception_ptr)> done) const;

 private:
  friend class DatabaseThread;
  struct Work {
    Work() = default;
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    virtual ~Work() = default;
    virtual void run(Connection& connection) = 0;
    // When it is committed.
    virtual void complete() = 0;
    virtual void fail(std::exception_ptr error) = 0;
    bool is_alone = false;
  };
  template <class F, class Result>
  struct FunctionWork final : Work {
    explicit FunctionWork(F given) : function(std::move(given)) {}
    void run(Connection& connection) override {
      if constexpr (std::is_void_v<Result>) {
        function(connection);
      } else {
        result.emplace(function(connection));
      }
    }
    void complete() override {
      if constexpr (std::is_void_v<Result>) {
        promise.set();
      } else {
        promise.set(std::move(*result));
      }
    }
    void fail(std::exception_ptr error) override { promise.fail(std::move(error)); }

    F function;
    Promise<Result> promise;
    std::optional<std::conditional_t<std::is_void_v<Result>, std::monostate, Result>> result;
  };

  // `is_alone`: outside of a transaction.
  template <class F>
  Task<std::invoke_result_t<F&, Connection&>> call(F function, bool is_alone) const {
    using Result = std::invoke_result_t<F&, Connection&>;
    auto work = std::make_unique<FunctionWork<F, Result>>(std::move(function));
    work->is_alone = is_alone;
    Future<Result> result = work->promise.future();
    submit(std::move(work));
    co_return co_await result;
  }
  explicit Database(std::shared_ptr<class DatabaseThread> thread) noexcept : thread_(std::move(thread)) {}
  void submit(std::unique_ptr<Work> work) const;

  std::shared_ptr<class DatabaseThread> thread_;
};

}  // namespace coax::store
