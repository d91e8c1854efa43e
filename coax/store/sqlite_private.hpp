// Handles of SQLite that close themselves, and its errors as ours.
#pragma once

#include <sqlite3.h>

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "coax/store/database.hpp"

namespace coax::store {

struct CloseHandle {
  void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// A connection of SQLite, used by one thread at a time.
class Sqlite {
 public:
  // Throws: as Database::open().
  Sqlite(const std::string& path, const DatabaseOptions& options);

  // Throws: as Database::execute().
  Rows execute(std::string_view sql, const std::vector<SqlValue>& values, bool allows_savepoints);
  // begin, commit, savepoints: without rows.
  void control(const char* sql);
  [[nodiscard]] bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle_.get()) == 0; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  // What the statements that are prepared may do with the transaction. Those of SQLite itself, such as within a vacuum,
  // may do all.
  enum class Allowed : std::uint8_t { nothing, savepoints, all };

  struct Cached {
    std::string sql;
    Statement statement;
  };

  static int authorize(void* self, int action, const char*, const char*, const char*, const char*) noexcept;
  [[noreturn]] void fail(std::string_view operation, int code) const;
  [[nodiscard]] Statement prepare(std::string_view& sql, Allowed allowed);
  sqlite3_stmt* cached(std::string_view sql, Allowed allowed);
  void bind(sqlite3_stmt* statement, const std::vector<SqlValue>& values) const;
  std::vector<Row> step(sqlite3_stmt* statement) const;

  std::string path_;
  std::size_t rows_bytes_max_;
  Allowed allowed_ = Allowed::all;
  std::unique_ptr<sqlite3, CloseHandle> handle_;
  std::list<Cached> cache_;  // the last used ones first
  std::unordered_map<std::string_view, std::list<Cached>::iterator> by_sql_;
};

}  // namespace coax::store
