// Statements of SQLite: prepared once, bound, stepped through.
#include "coax/store/sqlite_private.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax::store {

namespace {

constexpr std::size_t cached_max = 100;

// SQLite makes files that everybody may read.
void make_file(const std::string& path) {
  const FileDescriptor made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!made) throw Error(errno, "open the database", path);
}

bool is_blank(std::string_view sql) { return trim(sql).empty(); }

SqlValue value_of(sqlite3_stmt* statement, int column) {
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    return size == 0 ? std::string() : std::string(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return static_cast<std::int64_t>(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT: return sqlite3_column_double(statement, column);
    case SQLITE_TEXT: return bytes(sqlite3_column_text(statement, column));
    case SQLITE_BLOB: return Blob{bytes(sqlite3_column_blob(statement, column))};
    default: return nullptr;
  }
}

std::size_t size_of(const SqlValue& value) {
  if (const auto* const text = std::get_if<std::string>(&value.data())) return sizeof(SqlValue) + text->size();
  if (const auto* const blob = std::get_if<Blob>(&value.data())) return sizeof(SqlValue) + blob->bytes.size();
  return sizeof(SqlValue);
}

Row::Columns columns_of(sqlite3_stmt* statement) {
  std::vector<std::string> names;
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    names.emplace_back(sqlite3_column_name(statement, column));
  }
  return std::make_shared<const std::vector<std::string>>(std::move(names));
}

// Ready for its next use, whatever happened.
struct Reset {
  sqlite3_stmt* statement;
  explicit Reset(sqlite3_stmt* given) noexcept : statement(given) {}
  Reset(const Reset&) = delete;
  Reset& operator=(const Reset&) = delete;
  ~Reset() {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};

}  // namespace

Sqlite::Sqlite(const std::string& path, const DatabaseOptions& options)
    : path_(path), rows_bytes_max_(options.rows_bytes_max) {
  if (path != ":memory:") make_file(path);
  sqlite3* handle = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (opened != SQLITE_OK) fail("open the database", opened);
  const auto busy = std::chrono::duration_cast<std::chrono::milliseconds>(options.busy_timeout).count();
  sqlite3_busy_timeout(handle, static_cast<int>(busy));
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  control("pragma journal_mode = wal");
  control(options.sync ? "pragma synchronous = full" : "pragma synchronous = normal");
  control("pragma foreign_keys = on");
  sqlite3_set_authorizer(handle, authorize, this);
}

// Called when a statement is prepared.
int Sqlite::authorize(void* self, int action, const char* /*operation*/, const char* /*name*/, const char* /*schema*/,
                      const char* /*trigger*/) noexcept {
  const Allowed allowed = static_cast<const Sqlite*>(self)->allowed_;
  if (action == SQLITE_TRANSACTION) return allowed == Allowed::all ? SQLITE_OK : SQLITE_DENY;
  if (action == SQLITE_SAVEPOINT) return allowed != Allowed::nothing ? SQLITE_OK : SQLITE_DENY;
  return SQLITE_OK;
}

void Sqlite::fail(std::string_view operation, int code) const {
  const std::string_view reason = handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
  switch (code & 0xFF) {
    case SQLITE_FULL: throw Error(ENOSPC, operation, path_);
    case SQLITE_NOMEM: throw std::bad_alloc();
    case SQLITE_BUSY:
    case SQLITE_LOCKED: throw Error(ErrorKind::timed_out, operation, path_, "another process has locked it");
    case SQLITE_PERM:
    case SQLITE_READONLY: throw Error(ErrorKind::permission, operation, path_, reason);
    case SQLITE_AUTH:
      throw Error(ErrorKind::invalid, operation, path_,
                  "it begins or ends a transaction or a savepoint; use transaction(), whose function calls execute()");
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: throw Error(ErrorKind::protocol, operation, path_, reason);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      if (const int system = handle_ ? sqlite3_system_errno(handle_.get()) : 0; system != 0) {
        throw Error(system, operation, path_);
      }
      throw Error(ErrorKind::other, operation, path_, reason);
    default: throw Error(ErrorKind::invalid, operation, path_, reason);
  }
}

Statement Sqlite::prepare(std::string_view& sql, Allowed allowed) {
  sqlite3_stmt* statement = nullptr;
  const char* rest = nullptr;
  allowed_ = allowed;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, &rest);
  allowed_ = Allowed::all;
  Statement owned(statement);
  if (code != SQLITE_OK) fail("execute SQL in", code);
  sql.remove_prefix(static_cast<std::size_t>(rest - sql.data()));
  return owned;
}

sqlite3_stmt* Sqlite::cached(std::string_view sql, Allowed allowed) {
  if (const auto found = by_sql_.find(sql); found != by_sql_.end()) {
    cache_.splice(cache_.begin(), cache_, found->second);
    return cache_.front().statement.get();
  }
  std::string_view rest = sql;
  Statement statement = prepare(rest, allowed);
  if (!statement) throw Error(ErrorKind::invalid, "execute SQL in", path_, "there is no statement");
  if (!is_blank(rest)) throw Error(ErrorKind::invalid, "execute SQL in", path_, "values are for one statement");
  if (cache_.size() >= cached_max) {
    by_sql_.erase(cache_.back().sql);
    cache_.pop_back();
  }
  cache_.push_front({.sql = std::string(sql), .statement = std::move(statement)});
  by_sql_.emplace(cache_.front().sql, cache_.begin());
  return cache_.front().statement.get();
}

void Sqlite::bind(sqlite3_stmt* statement, const std::vector<SqlValue>& values) const {
  const int wanted = sqlite3_bind_parameter_count(statement);
  if (static_cast<std::size_t>(wanted) != values.size()) {
    throw Error(ErrorKind::invalid, "execute SQL in", path_,
                fmt::format("the statement has {} placeholders, for {} values", wanted, values.size()));
  }
  for (int index = 1; const SqlValue& value : values) {
    struct Bind {
      sqlite3_stmt* statement;
      int index;
      int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
      int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, index, number); }
      int operator()(double number) const { return sqlite3_bind_double(statement, index, number); }
      int operator()(const std::string& text) const {
        return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
      }
      int operator()(const Blob& blob) const {
        return sqlite3_bind_blob64(statement, index, blob.bytes.data(), blob.bytes.size(), SQLITE_STATIC);
      }
    };
    const int code = std::visit(Bind{.statement = statement, .index = index++}, value.data());
    if (code != SQLITE_OK) fail("execute SQL in", code);
  }
}

std::vector<Row> Sqlite::step(sqlite3_stmt* statement) const {
  std::vector<Row> rows;
  Row::Columns columns;
  std::size_t bytes = 0;
  while (true) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return rows;
    if (code != SQLITE_ROW) fail("execute SQL in", code);
    if (!columns) columns = columns_of(statement);
    std::vector<SqlValue> values;
    for (int column = 0; column < static_cast<int>(columns->size()); ++column) {
      values.push_back(value_of(statement, column));
      bytes += size_of(values.back());
    }
    bytes += sizeof(Row);
    if (bytes > rows_bytes_max_) {
      throw Error(ErrorKind::invalid, "execute SQL in", path_,
                  fmt::format("its rows have more than {} bytes; use `limit` in the statement", rows_bytes_max_));
    }
    rows.emplace_back(columns, std::move(values));
  }
}

Rows Sqlite::execute(std::string_view sql, const std::vector<SqlValue>& values, bool allows_savepoints) {
  const Allowed allowed = allows_savepoints ? Allowed::savepoints : Allowed::nothing;
  Rows result;
  const auto run = [&](sqlite3_stmt* statement) {
    const Reset reset(statement);
    bind(statement, values);
    result.rows_ = step(statement);
  };
  if (values.empty()) {
    while (!is_blank(sql)) {
      const Statement statement = prepare(sql, allowed);
      if (statement) run(statement.get());
    }
  } else {
    run(cached(sql, allowed));
  }
  result.changes_ = sqlite3_changes64(handle_.get());
  result.last_id_ = sqlite3_last_insert_rowid(handle_.get());
  return result;
}

void Sqlite::control(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail("use the database", code);
}

}  // namespace coax::store
