// Sessions of a web site in SQLite: they outlive a restart of the program.
//
//   auto database = co_await store::Database::open("site.db", {.sync = false});
//   app.use(http::sessions({.store = co_await store::sqlite_sessions(database)}));
#pragma once

#include <memory>

#include "coax/http/session.hpp"
#include "coax/store/database.hpp"

namespace coax::store {

// In the table coax_sessions, which is made when it is missing. Expired sessions, and those above sessions_max, are
// removed when 64 new ones have been made.
// Throws: Error(invalid) when a limit is zero; as Database::execute().
Task<std::shared_ptr<http::SessionStore>> sqlite_sessions(Database database, http::SessionLimits limits = {});

}  // namespace coax::store
