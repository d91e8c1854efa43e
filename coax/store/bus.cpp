// Subjects in tables. All works of a subject run on the database's thread, in their order; consumers are called there
// after the commit, so that none gets what could still be lost.
//
// Sequence numbers are reserved in the table by the thousand: those of transient records cost no write, and none is
// used twice after a crash.
#include "coax/store/bus.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "coax/base/error.hpp"
#include "coax/bus/consumers_private.hpp"
#include "coax/bus/memory_bus.hpp"
#include "coax/bus/search_words_private.hpp"

namespace coax::store {

namespace {

using Time = std::chrono::system_clock::time_point;

constexpr const char* bus_schema =
    "create table if not exists coax_subjects (subject integer primary key, name text not null unique, "
    "reserved integer not null);"
    "create table if not exists coax_records (n integer primary key, subject integer not null, "
    "sequence integer not null, time integer not null, id text, body blob not null, text text not null, "
    "unique (subject, sequence));"
    "create unique index if not exists coax_records_id on coax_records (subject, id) where id is not null;"
    "create virtual table if not exists coax_words using fts5(text, content='coax_records', content_rowid='n', "
    "tokenize='unicode61 remove_diacritics 0')";
constexpr std::int64_t reserved_at_once = 1000;

std::int64_t milliseconds_of(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
Time time_of(std::int64_t milliseconds) { return Time(std::chrono::milliseconds(milliseconds)); }

Record record_of(const Row& row) {
  return {.sequence = static_cast<std::uint64_t>(row[0].integer()),
          .time = time_of(row[1].integer()),
          .id = row[2].is_null() ? "" : row[2].text(),
          .body = row[3].blob()};
}

// A query of FTS5.
std::string query_of(std::string_view words) {
  std::string query;
  for (const coax::detail::SearchWord& word : coax::detail::search_words(words)) {
    query.append("\"").append(word.text).append(word.is_prefix ? "\"* " : "\" ");
  }
  return query;
}

// A subject on the database's thread.
class Table {
 public:
  Table(std::int64_t key, const SubjectOptions& options) : key_(key), options_(options) {}

  Receipt publish(Connection& connection, Publication& publication, Record& record);
  void load(Connection& connection);
  // A transaction was lost: what is known of the table may be wrong.
  void forget() noexcept { loaded_ = false; }
  std::vector<Record> read(Connection& connection, const ReadRange& range) const;
  std::vector<Record> search(Connection& connection, const std::string& query, const ReadRange& range) const;
  Subject::Extent extent(Connection& connection);
  void erase(Connection& connection);

 private:
  void reserve(Connection& connection);
  void revise(Connection& connection, const Revision& revision);
  void insert(Connection& connection, Publication& publication, const Record& record);
  void drop_old(Connection& connection);
  void drop(Connection& connection, const Rows& rows);
  [[nodiscard]] std::int64_t oldest_time() const;
  static std::vector<Record> records_of(const Rows& rows, bool newest);

  const std::int64_t key_;
  const SubjectOptions options_;
  bool loaded_ = false;
  std::int64_t last_ = 0;
  std::int64_t reserved_ = 0;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
  std::size_t until_drop_ = 0;  // inserts until the next drop_old()
};

void Table::load(Connection& connection) {
  if (loaded_) return;
  const Rows subject = connection.execute("select reserved from coax_subjects where subject = ?", key_);
  if (subject.empty()) throw Error(ErrorKind::invalid, "use", "a subject", "it was erased");
  reserved_ = subject[0][0].integer();
  last_ = std::max(last_, reserved_);
  const Rows sums = connection.execute(
      "select count(*), coalesce(sum(length(body) + coalesce(length(id), 0)), 0) from coax_records where subject = ?",
      key_);
  records_ = static_cast<std::size_t>(sums[0][0].integer());
  bytes_ = static_cast<std::size_t>(sums[0][1].integer());
  loaded_ = true;
}

void Table::reserve(Connection& connection) {
  if (last_ < reserved_) return;
  reserved_ = last_ + reserved_at_once;
  connection.execute("update coax_subjects set reserved = ? where subject = ?", reserved_, key_);
}

Receipt Table::publish(Connection& connection, Publication& publication, Record& record) {
  load(connection);
  if (!publication.id.empty()) {
    const Rows known = connection.execute("select sequence, time from coax_records where subject = ? and id = ?", key_,
                                          publication.id);
    if (!known.empty()) {
      return {.sequence = static_cast<std::uint64_t>(known[0][0].integer()),
              .time = time_of(known[0][1].integer()),
              .is_duplicate = true};
    }
  }
  reserve(connection);
  if (publication.revision) revise(connection, *publication.revision);
  record = {.sequence = static_cast<std::uint64_t>(++last_),
            .time = coax::detail::now_in_milliseconds(),
            .id = std::move(publication.id),
            .body = std::move(publication.body)};
  if (!publication.transient) insert(connection, publication, record);
  return {.sequence = record.sequence, .time = record.time};
}

void Table::insert(Connection& connection, Publication& publication, const Record& record) {
  const SqlValue id = record.id.empty() ? SqlValue() : SqlValue(record.id);
  const Rows inserted =
      connection.execute("insert into coax_records (subject, sequence, time, id, body, text) values (?, ?, ?, ?, ?, ?)",
                         key_, last_, milliseconds_of(record.time), id, Blob{record.body}, publication.text);
  if (!publication.text.empty()) {
    connection.execute("insert into coax_words (rowid, text) values (?, ?)", inserted.last_id(), publication.text);
  }
  ++records_;
  bytes_ += record.id.size() + record.body.size();
  if (until_drop_-- == 0) {
    until_drop_ = std::min<std::size_t>(options_.records_max / 64, 64);
    drop_old(connection);
  }
}

void Table::revise(Connection& connection, const Revision& revision) {
  const auto sequence = static_cast<std::int64_t>(revision.sequence);
  const Rows old = connection.execute(
      "select n, text, length(body) from coax_records where subject = ? and sequence = ?", key_, sequence);
  if (old.empty()) {
    throw Error(ErrorKind::invalid, "revise", "a record", "it does not exist, or is not kept any more");
  }
  const std::int64_t n = old[0][0].integer();
  if (!old[0][1].text().empty()) {
    connection.execute("insert into coax_words (coax_words, rowid, text) values ('delete', ?, ?)", n, old[0][1].text());
  }
  connection.execute("update coax_records set body = ?, text = ? where n = ?", Blob{revision.body}, revision.text, n);
  if (!revision.text.empty()) {
    connection.execute("insert into coax_words (rowid, text) values (?, ?)", n, revision.text);
  }
  bytes_ += revision.body.size();
  bytes_ -= static_cast<std::size_t>(old[0][2].integer());
}

std::int64_t Table::oldest_time() const {
  if (!options_.age_max) return 0;
  return milliseconds_of(std::chrono::system_clock::now() - *options_.age_max);
}

// In portions, so that a lower limit than before does not fill the memory.
void Table::drop_old(Connection& connection) {
  constexpr std::int64_t portion = 256;
  while (records_ > options_.records_max || bytes_ > options_.bytes_max) {
    const std::size_t extra = records_ > options_.records_max ? records_ - options_.records_max : 1;
    const Rows rows = connection.execute(
        "select n, text, length(body) + coalesce(length(id), 0) from coax_records where subject = ? "
        "order by sequence limit ?",
        key_, std::min<std::int64_t>(portion, static_cast<std::int64_t>(extra)));
    if (rows.empty()) break;
    drop(connection, rows);
  }
  while (options_.age_max) {
    const Rows rows = connection.execute(
        "select n, text, length(body) + coalesce(length(id), 0) from coax_records where subject = ? and time < ? "
        "order by sequence limit ?",
        key_, oldest_time(), portion);
    if (rows.empty()) break;
    drop(connection, rows);
  }
}

void Table::drop(Connection& connection, const Rows& rows) {
  for (const Row& row : rows) {
    if (!row[1].text().empty()) {
      connection.execute("insert into coax_words (coax_words, rowid, text) values ('delete', ?, ?)", row[0].integer(),
                         row[1].text());
    }
    connection.execute("delete from coax_records where n = ?", row[0].integer());
    --records_;
    bytes_ -= static_cast<std::size_t>(row[2].integer());
  }
}

std::vector<Record> Table::records_of(const Rows& rows, bool newest) {
  std::vector<Record> records;
  records.reserve(rows.size());
  for (const Row& row : rows) records.push_back(record_of(row));
  if (newest) std::ranges::reverse(records);
  return records;
}

std::vector<Record> Table::read(Connection& connection, const ReadRange& range) const {
  constexpr const char* first =
      "select sequence, time, id, body from coax_records where subject = ? and sequence > ? and sequence < ? "
      "and time >= ? order by sequence limit ?";
  constexpr const char* last =
      "select sequence, time, id, body from coax_records where subject = ? and sequence > ? and sequence < ? "
      "and time >= ? order by sequence desc limit ?";
  return records_of(connection.execute(range.newest ? last : first, key_, static_cast<std::int64_t>(range.after),
                                       static_cast<std::int64_t>(range.before), oldest_time(),
                                       static_cast<std::int64_t>(range.count_max)),
                    range.newest);
}

std::vector<Record> Table::search(Connection& connection, const std::string& query, const ReadRange& range) const {
  return records_of(
      // The words first, from the newest record on: it ends at the limit.
      connection.execute("select sequence, time, id, body from coax_words "
                         "cross join coax_records on n = coax_words.rowid "
                         "where coax_words match ? and subject = ? and sequence > ? and sequence < ? and time >= ? "
                         "order by coax_words.rowid desc limit ?",
                         query, key_, static_cast<std::int64_t>(range.after), static_cast<std::int64_t>(range.before),
                         oldest_time(), static_cast<std::int64_t>(range.count_max)),
      true);
}

Subject::Extent Table::extent(Connection& connection) {
  load(connection);
  const Rows first =
      connection.execute("select sequence from coax_records where subject = ? and time >= ? order by sequence limit 1",
                         key_, oldest_time());
  return {.first = first.empty() ? 0 : static_cast<std::uint64_t>(first[0][0].integer()),
          .last = static_cast<std::uint64_t>(last_),
          .records = records_};
}

void Table::erase(Connection& connection) {
  while (true) {
    const Rows rows = connection.execute(
        "select n, text, length(body) + coalesce(length(id), 0) from coax_records where subject = ? limit 256", key_);
    if (rows.empty()) break;
    drop(connection, rows);
  }
  connection.execute("delete from coax_subjects where subject = ?", key_);
  loaded_ = false;
}

class SqliteSubject final : public Subject {
 public:
  SqliteSubject(Database database, std::shared_ptr<Table> table)
      : database_(std::move(database)), table_(std::move(table)) {}

  void post(Publication publication, Done done) override {
    struct Work {
      std::shared_ptr<Table> table;
      std::shared_ptr<coax::detail::Consumers> consumers;
      Publication publication;
      Record record;
      Receipt receipt;
      Done done;
    };
    auto work =
        std::make_shared<Work>(table_, consumers_, std::move(publication), Record(), Receipt(), std::move(done));
    database_.post(
        [work](Connection& connection) {
          work->receipt = work->table->publish(connection, work->publication, work->record);
        },
        [work](std::exception_ptr error) {
          if (error) {
            work->table->forget();
          } else if (!work->receipt.is_duplicate) {
            work->consumers->call(work->record);
          }
          if (!work->done) return;
          if (error) {
            work->done(std::unexpected(std::move(error)));
          } else {
            work->done(work->receipt);
          }
        });
  }

  Consumption listen(Consumer consumer) override { return consumers_->add(std::move(consumer)); }

  Task<Consumption> consume(std::uint64_t after, Consumer consumer) override {
    struct Work {
      std::shared_ptr<Table> table;
      std::shared_ptr<coax::detail::Consumers> consumers;
      Consumer consumer;
      std::vector<Record> records;
      Promise<Consumption> promise;
    };
    auto work =
        std::make_shared<Work>(table_, consumers_, std::move(consumer), std::vector<Record>(), Promise<Consumption>());
    const Future<Consumption> consumption = work->promise.future();
    database_.post(
        [work, after](Connection& connection) {
          work->records = work->table->read(connection, {.after = after, .count_max = records_at_once_max});
        },
        // Earlier publications have been given to the consumers by now, and later ones have not.
        [work](std::exception_ptr error) {
          if (error) return work->promise.fail(std::move(error));
          for (const Record& record : work->records) work->consumer(record);
          work->promise.set(work->consumers->add(std::move(work->consumer)));
        });
    co_return co_await consumption;
  }

  Task<std::vector<Record>> read(ReadRange range) override {
    return database_.transaction(
        [table = table_, range](Connection& connection) { return table->read(connection, range); });
  }

  Task<std::vector<Record>> search(std::string words, ReadRange range) override {
    std::string query = query_of(words);
    if (query.empty()) co_return {};
    co_return co_await database_.transaction([table = table_, query = std::move(query), range](Connection& connection) {
      return table->search(connection, query, range);
    });
  }

  Task<Extent> extent() override {
    return database_.transaction([table = table_](Connection& connection) { return table->extent(connection); });
  }

  // No consumer, and no publication in progress: those hold the table.
  [[nodiscard]] bool is_idle() const { return table_.use_count() == 1 && consumers_->empty(); }

  Task<> erase() {
    return database_.transaction([table = table_](Connection& connection) { table->erase(connection); });
  }

 private:
  static constexpr std::size_t records_at_once_max = 1'000'000;
  Database database_;
  std::shared_ptr<Table> table_;
  std::shared_ptr<coax::detail::Consumers> consumers_ = std::make_shared<coax::detail::Consumers>();
};

class SqliteBus final : public Bus {
 public:
  explicit SqliteBus(Database database) : database_(std::move(database)) {}

  Task<std::shared_ptr<Subject>> open(std::string name, SubjectOptions options) override {
    if (options.durability == Durability::memory) co_return co_await memory_.open(std::move(name), options);
    if (options.durability == Durability::majority) {
      throw Error(ErrorKind::invalid, "open the subject", name, "this bus has one server; use Durability::disk");
    }
    if (const auto found = find(name)) co_return found;
    const std::int64_t key = co_await database_.transaction([name](Connection& connection) {
      connection.execute("insert or ignore into coax_subjects (name, reserved) values (?, 0)", name);
      return connection.execute("select subject from coax_subjects where name = ?", name)[0][0].integer();
    });
    const std::scoped_lock lock(mutex_);
    if (subjects_.size() >= prune_at_) drop_unused();
    auto& subject = subjects_[name];  // another task may have opened it meanwhile
    if (!subject) subject = std::make_shared<SqliteSubject>(database_, std::make_shared<Table>(key, options));
    co_return subject;
  }

  Task<> erase(std::string name) override {
    co_await memory_.erase(name);
    std::shared_ptr<SqliteSubject> subject = find(name);
    if (!subject) {
      co_await open(name, {.durability = Durability::disk});
      subject = find(name);
    }
    co_await subject->erase();
    const std::scoped_lock lock(mutex_);
    subjects_.erase(name);
  }

  Task<std::vector<std::string>> names() override {
    std::vector<std::string> names = co_await memory_.names();
    const Rows rows = co_await database_.execute(
        "select name from coax_subjects where exists "
        "(select 1 from coax_records where coax_records.subject = coax_subjects.subject)");
    for (const Row& row : rows) names.push_back(row[0].text());
    {
      const std::scoped_lock lock(mutex_);
      for (const auto& [name, subject] : subjects_) {
        if (subject.use_count() > 1) names.push_back(name);
      }
    }
    std::ranges::sort(names);
    const auto repeated = std::ranges::unique(names);
    names.erase(repeated.begin(), repeated.end());
    co_return names;
  }

 private:
  std::shared_ptr<SqliteSubject> find(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    const auto found = subjects_.find(name);
    return found != subjects_.end() ? found->second : nullptr;
  }

  // Under the mutex: clients may choose the names. What is known of a subject is in its table.
  void drop_unused() {
    std::erase_if(subjects_,
                  [](const auto& entry) { return entry.second.use_count() == 1 && entry.second->is_idle(); });
    prune_at_ = std::max<std::size_t>(64, 2 * subjects_.size());
  }

  Database database_;
  MemoryBus memory_;
  std::size_t prune_at_ = 64;  // subjects
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SqliteSubject>> subjects_;
};

}  // namespace

Task<std::shared_ptr<Bus>> sqlite_bus(Database database) {
  co_await database.execute(bus_schema);
  co_return std::make_shared<SqliteBus>(std::move(database));
}

}  // namespace coax::store
