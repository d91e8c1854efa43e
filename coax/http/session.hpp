// Sessions: values that belong to one visitor, kept on the server. The visitor's browser has only a random id, in a
// cookie.
//
//   app.use(http::sessions());
//   app.post("/basket", [](Request& request) {
//     Session& session = http::session(request);
//     session.set("items", session.integer("items") + 1);
//     return Response{.status = 204};
//   });
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/http/router.hpp"
#include "coax/http/value.hpp"

namespace coax::http {

struct SessionChange {
  std::string name;
  std::optional<Value> value;  // nothing: it was erased
};

// The place of sessions. A key is a digest of an id, so that a reader of the store cannot use its sessions.
// Thread: each loop calls it, several at once.
class SessionStore {
 public:
  virtual ~SessionStore() = default;
  // Returns: an object; nothing for a session that does not exist or has expired. It counts as used now.
  virtual Task<std::optional<Value>> load(std::string key) = 0;
  virtual Task<> insert(std::string key, Value values) = 0;
  // Atomic: requests of the same session at the same time lose none of each other's changes.
  // Returns: false when it does not exist any more; then it stays so.
  virtual Task<bool> update(std::string key, std::vector<SessionChange> changes) = 0;
  virtual Task<bool> rename(std::string key, std::string new_key) = 0;
  virtual Task<> erase(std::string key) = 0;
};

struct SessionLimits {
  Duration idle = std::chrono::minutes(30);    // since the last request
  Duration lifetime = std::chrono::hours(12);  // since its first, however busy it is
  // Above, the one that is unused for longest ends: of visitors who have not logged in, as long as there are any.
  std::size_t sessions_max = 100'000;
};
// In memory: a restart of the program ends all sessions.
// Throws: Error(invalid) when a number is zero.
std::shared_ptr<SessionStore> memory_sessions(SessionLimits limits = {});

struct SessionOptions {
  std::size_t bytes_max = 16_KiB;            // of the values of one session, as JSON
  std::shared_ptr<SessionStore> store = {};  // empty: memory_sessions()
};

// Lifetime: that of the request.
class Session {
 public:
  // Returns: null when there is none. Lifetime: until the session changes.
  [[nodiscard]] const Value* find(std::string_view name) const noexcept { return values_.find(name); }
  // The value of that name; empty or 0 when there is none, or one of another kind.
  [[nodiscard]] std::string text(std::string_view name) const;
  [[nodiscard]] std::int64_t integer(std::string_view name) const;
  // Throws: Error(invalid) above SessionOptions::bytes_max.
  void set(std::string_view name, Value value);
  void erase(std::string_view name);
  [[nodiscard]] bool is_empty() const noexcept { return values_.size() == 0; }

  // Gives it another id; the old one is void. Call it whenever the visitor gets more rights, as log_in() does: an
  // attacker may have planted an id in the visitor's browser (session fixation).
  void renew_id() noexcept { is_renewed_ = true; }
  // Ends it on the server, and with it its cookie. Values set later are those of a new session.
  void end() noexcept;

  // A message for the next page that the visitor sees. Of more than 20, the first are dropped.
  void flash(std::string text);
  // Returns: all messages, once.
  [[nodiscard]] std::vector<std::string> take_flashes();

 private:
  friend class Sessions;
  friend class CsrfSecret;
  void drop_changes() noexcept;

  Value values_ = Value::object();
  std::vector<SessionChange> changes_;
  std::string id_;    // empty: it is not in the store
  std::string csrf_;  // the secret of the cookie "csrf", see csrf.cpp
  std::size_t bytes_max_ = 0;
  bool is_csrf_new_ = false;
  bool is_used_ = false;
  bool is_renewed_ = false;
  bool is_ended_ = false;
  friend Session& session(Request& request);
  friend void log_in(Request& request, Principal principal);
};

// Loads the session of each request, and stores its changes when the response is there. A new session gets a cookie
// only when it has a value: "__Host-session" over TLS, otherwise "session"; HttpOnly and SameSite=Lax. Changes
// are dropped when the response has a status of 500 or above, such as after an exception of the handler; and so are
// those of WebSockets and of producers of bodies.
Middleware sessions(SessionOptions options = {});

// Throws: Error(invalid) without the middleware.
Session& session(Request& request);

// Keeps the user in the session, under another id: Request::principal() of this and the following requests.
// Throws: as session().
void log_in(Request& request, Principal principal);
// Ends the session. Throws: as session().
void log_out(Request& request);

}  // namespace coax::http
