// SqliteBus: a bus whose records are in a database, for one process.
//
//   const store::Database database = co_await store::Database::open("hub.db");
//   const auto bus = co_await store::sqlite_bus(database);
#pragma once

#include <memory>

#include "coax/bus/bus.hpp"
#include "coax/store/database.hpp"

namespace coax::store {

// Keeps subjects with Durability::disk in the tables coax_subjects, coax_records and coax_words of the database; those
// with Durability::memory are lost with the bus. Publications that wait at the same time are committed together.
// Consumers are called on the database's thread. A disk is as durable as DatabaseOptions::sync.
// Throws: as Database::execute().
Task<std::shared_ptr<Bus>> sqlite_bus(Database database);

}  // namespace coax::store
