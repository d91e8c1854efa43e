// Sessions in a table: a row for each, with its values as JSON and its times in seconds since 1970.
#include "coax/store/sessions.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "coax/base/error.hpp"
#include "coax/http/session_private.hpp"

namespace coax::store {

namespace {

using http::SessionChange;
using http::SessionLimits;
using http::Value;

constexpr const char* sessions_schema =
    "create table if not exists coax_sessions "
    "(key blob primary key, content text not null, made integer not null, used integer not null, "
    "has_user integer not null default 0) without rowid;"
    "create index if not exists coax_sessions_used on coax_sessions (used);"
    "create index if not exists coax_sessions_made on coax_sessions (made)";
// Tables of earlier versions have no such column: there, sessions count as anonymous until they change.
constexpr const char* added_column = "alter table coax_sessions add column has_user integer not null default 0";
constexpr const char* index_of_users =
    "create index if not exists coax_sessions_user on coax_sessions (has_user, used)";
constexpr std::uint64_t inserts_between_cleanings = 64;

std::int64_t now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()).time_since_epoch().count();
}

std::int64_t seconds_of(Duration duration) {
  return std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(duration).count());
}

Value values_of(const Value& values, const std::vector<SessionChange>& changes) {
  std::vector<http::Member> members(values.as_object().begin(), values.as_object().end());
  for (const SessionChange& change : changes) {
    std::erase_if(members, [&](const http::Member& member) { return member.name == change.name; });
    if (change.value) members.push_back({.name = change.name, .value = *change.value});
  }
  return Value::object(std::move(members));
}

class SqliteSessions final : public http::SessionStore {
 public:
  SqliteSessions(Database database, const SessionLimits& limits)
      : database_(std::move(database)),
        idle_(seconds_of(limits.idle)),
        lifetime_(seconds_of(limits.lifetime)),
        sessions_max_(static_cast<std::int64_t>(limits.sessions_max)) {}

  Task<std::optional<Value>> load(std::string key) override {
    const std::int64_t time = now();
    const Rows rows =
        co_await database_.execute("select content, used from coax_sessions where key = ? and used >= ? and made >= ?",
                                   Blob{key}, time - idle_, time - lifetime_);
    if (rows.empty()) co_return std::nullopt;
    // Not at each request: a twentieth of the limit is exact enough.
    if (time - rows[0]["used"].integer() > idle_ / 20) {
      co_await database_.execute("update coax_sessions set used = ? where key = ?", time, Blob{std::move(key)});
    }
    co_return http::parse_json(rows[0]["content"].text());
  }

  Task<> insert(std::string key, Value values) override {
    const std::int64_t time = now();
    co_await database_.transaction([key = std::move(key), content = values.to_json(),
                                    has_user = http::detail::has_user(values), time, idle = idle_, lifetime = lifetime_,
                                    most = sessions_max_,
                                    cleans = inserts_++ % inserts_between_cleanings == 0](Connection& connection) {
      if (cleans) {
        connection.execute("delete from coax_sessions where used < ? or made < ?", time - idle, time - lifetime);
        connection.execute(
            "delete from coax_sessions where key in "
            "(select key from coax_sessions order by has_user, used limit max(0, (select count(*) from coax_sessions) "
            "- ?))",
            most - 1);
      }
      connection.execute("insert into coax_sessions values (?, ?, ?, ?, ?)", Blob{key}, content, time, time, has_user);
    });
  }

  Task<bool> update(std::string key, std::vector<SessionChange> changes) override {
    co_return co_await database_.transaction(
        [key = std::move(key), changes = std::move(changes)](Connection& connection) {
          const Rows rows = connection.execute("select content from coax_sessions where key = ?", Blob{key});
          if (rows.empty()) return false;
          const Value values = values_of(http::parse_json(rows[0][0].text()), changes);
          connection.execute("update coax_sessions set content = ?, has_user = ? where key = ?", values.to_json(),
                             http::detail::has_user(values), Blob{key});
          return true;
        });
  }

  Task<bool> rename(std::string key, std::string new_key) override {
    const Rows rows = co_await database_.execute("update coax_sessions set key = ? where key = ?",
                                                 Blob{std::move(new_key)}, Blob{std::move(key)});
    co_return rows.changes() == 1;
  }

  Task<> erase(std::string key) override {
    co_await database_.execute("delete from coax_sessions where key = ?", Blob{std::move(key)});
  }

 private:
  Database database_;
  std::int64_t idle_;
  std::int64_t lifetime_;
  std::int64_t sessions_max_;
  std::atomic<std::uint64_t> inserts_ = 0;
};

}  // namespace

Task<std::shared_ptr<http::SessionStore>> sqlite_sessions(Database database, SessionLimits limits) {
  if (limits.sessions_max == 0 || limits.idle <= Duration() || limits.lifetime <= Duration())
    throw Error(ErrorKind::invalid, "keep sessions", "in a database", "a limit is zero");
  co_await database.execute(sessions_schema);
  const Rows known =
      co_await database.execute("select 1 from pragma_table_info('coax_sessions') where name = 'has_user'");
  if (known.empty()) co_await database.execute(added_column);
  co_await database.execute(index_of_users);
  co_return std::make_shared<SqliteSessions>(std::move(database), limits);
}

}  // namespace coax::store
