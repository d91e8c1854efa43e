// Subjects in memory: a deque of records, and an index of the ids. One mutex for each subject makes its order.
#include "coax/bus/memory_bus.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

#include "coax/base/error.hpp"
#include "coax/bus/consumers_private.hpp"
#include "coax/bus/search_words_private.hpp"

namespace coax {

namespace {

bool has_all(const std::vector<std::string>& text, const std::vector<detail::SearchWord>& words) {
  return std::ranges::all_of(words, [&](const detail::SearchWord& word) {
    return std::ranges::any_of(text, [&](const std::string& each) {
      return word.is_prefix ? each.starts_with(word.text) : each == word.text;
    });
  });
}

class MemorySubject final : public Subject {
 public:
  explicit MemorySubject(const SubjectOptions& options) : options_(options) {}

  void post(Publication publication, Done done) override {
    Outcome outcome;
    {
      const std::scoped_lock lock(mutex_);
      outcome = accept(std::move(publication));
    }
    if (done) done(std::move(outcome));
  }

  Consumption listen(Consumer consumer) override { return consumers_->add(std::move(consumer)); }

  Task<Consumption> consume(std::uint64_t after, Consumer consumer) override {
    const std::scoped_lock lock(mutex_);
    drop_old();
    for (const Kept& kept : kept_) {
      if (kept.record.sequence > after) consumer(kept.record);
    }
    co_return consumers_->add(std::move(consumer));
  }

  Task<std::vector<Record>> read(ReadRange range) override { co_return select(range, {}); }

  Task<std::vector<Record>> search(std::string words, ReadRange range) override {
    const std::vector<detail::SearchWord> wanted = detail::search_words(words);
    if (wanted.empty()) co_return {};
    range.newest = true;
    co_return select(range, wanted);
  }

  Task<Extent> extent() override {
    const std::scoped_lock lock(mutex_);
    drop_old();
    co_return Extent{
        .first = kept_.empty() ? 0 : kept_.front().record.sequence, .last = last_, .records = kept_.size()};
  }

  bool is_empty() {
    const std::scoped_lock lock(mutex_);
    return kept_.empty();
  }

 private:
  struct Kept {
    Record record;
    std::string text;
    [[nodiscard]] std::size_t bytes() const noexcept { return record.id.size() + record.body.size(); }
  };

  Outcome accept(Publication publication) {
    const auto known = publication.id.empty() ? by_id_.end() : by_id_.find(publication.id);
    if (known != by_id_.end()) {
      return Receipt{.sequence = known->second.first, .time = known->second.second, .is_duplicate = true};
    }
    if (publication.revision && !revise(std::move(*publication.revision))) {
      return std::unexpected(std::make_exception_ptr(
          Error(ErrorKind::invalid, "revise", "a record", "it does not exist, or is not kept any more")));
    }
    Record record{.sequence = ++last_,
                  .time = detail::now_in_milliseconds(),
                  .id = std::move(publication.id),
                  .body = std::move(publication.body)};
    consumers_->call(record);
    const Receipt receipt{.sequence = record.sequence, .time = record.time};
    if (!publication.transient) keep(std::move(record), std::move(publication.text));
    return receipt;
  }

  void keep(Record record, std::string text) {
    if (!record.id.empty()) by_id_.emplace(record.id, std::pair(record.sequence, record.time));
    kept_.push_back({.record = std::move(record), .text = std::move(text)});
    bytes_ += kept_.back().bytes();
    drop_old();
  }

  void drop_old() {
    const auto too_old = [this](const Record& record) {
      return options_.age_max && record.time < std::chrono::system_clock::now() - *options_.age_max;
    };
    while (!kept_.empty() &&
           (kept_.size() > options_.records_max || bytes_ > options_.bytes_max || too_old(kept_.front().record))) {
      bytes_ -= kept_.front().bytes();
      by_id_.erase(kept_.front().record.id);
      kept_.pop_front();
    }
  }

  bool revise(Revision revision) {
    const auto found =
        std::ranges::lower_bound(kept_, revision.sequence, {}, [](const Kept& kept) { return kept.record.sequence; });
    if (found == kept_.end() || found->record.sequence != revision.sequence) return false;
    bytes_ -= found->bytes();
    found->record.body = std::move(revision.body);
    found->text = std::move(revision.text);
    bytes_ += found->bytes();
    return true;
  }

  // Those whose text has all the words.
  std::vector<Record> select(const ReadRange& range, const std::vector<detail::SearchWord>& words) {
    const std::scoped_lock lock(mutex_);
    drop_old();
    const auto sequence_of = [](const Kept& kept) { return kept.record.sequence; };
    const auto begin = std::ranges::upper_bound(kept_, range.after, {}, sequence_of);
    const auto end = std::ranges::lower_bound(begin, kept_.end(), range.before, {}, sequence_of);
    std::vector<Record> records;
    const auto take = [&](const Kept& kept) {
      if (words.empty() || has_all(detail::words_of(kept.text), words)) records.push_back(kept.record);
      return records.size() < range.count_max;
    };
    if (range.count_max == 0) return records;
    if (!range.newest) {
      for (auto at = begin; at != end && take(*at);) ++at;
    } else {
      for (auto at = end; at != begin && take(*std::prev(at));) --at;
      std::ranges::reverse(records);
    }
    return records;
  }

  const SubjectOptions options_;
  std::mutex mutex_;
  std::deque<Kept> kept_;
  std::unordered_map<std::string, std::pair<std::uint64_t, std::chrono::system_clock::time_point>> by_id_;
  std::size_t bytes_ = 0;
  std::uint64_t last_ = 0;
  const std::shared_ptr<detail::Consumers> consumers_ = std::make_shared<detail::Consumers>();
};

}  // namespace

struct MemoryBus::State {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<MemorySubject>> subjects;
  std::size_t prune_at = 64;  // subjects

  // Under the mutex: clients may choose the names.
  void drop_unused() {
    std::erase_if(subjects,
                  [](const auto& entry) { return entry.second.use_count() == 1 && entry.second->is_empty(); });
    prune_at = std::max<std::size_t>(64, 2 * subjects.size());
  }
};

MemoryBus::MemoryBus() : state_(std::make_unique<State>()) {}
MemoryBus::~MemoryBus() = default;

Task<std::shared_ptr<Subject>> MemoryBus::open(std::string name, SubjectOptions options) {
  if (options.durability != Durability::memory) {
    throw Error(ErrorKind::invalid, "open the subject", name, "this bus keeps its records in memory only");
  }
  const std::scoped_lock lock(state_->mutex);
  if (state_->subjects.size() >= state_->prune_at) state_->drop_unused();
  auto& subject = state_->subjects[name];
  if (!subject) subject = std::make_shared<MemorySubject>(options);
  co_return subject;
}

Task<> MemoryBus::erase(std::string name) {
  const std::scoped_lock lock(state_->mutex);
  state_->subjects.erase(name);
  co_return;
}

Task<std::vector<std::string>> MemoryBus::names() {
  const std::scoped_lock lock(state_->mutex);
  std::vector<std::string> names;
  for (const auto& [name, subject] : state_->subjects) {
    if (subject.use_count() > 1 || !subject->is_empty()) names.push_back(name);
  }
  co_return names;
}

std::shared_ptr<Subject> memory_subject(SubjectOptions options) { return std::make_shared<MemorySubject>(options); }

}  // namespace coax
