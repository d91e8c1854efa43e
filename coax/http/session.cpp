// The life of a session: loaded before the handler, stored after it. Ids of clients are looked up, never adopted.
#include "coax/http/session.hpp"

#include "coax/base/error.hpp"
#include "coax/http/cookie.hpp"
#include "coax/http/crypto_private.hpp"
#include "coax/http/middleware_private.hpp"
#include "coax/http/session_private.hpp"

namespace coax::http {

namespace {

// Names of our own values.
constexpr std::string_view csrf_name = "_csrf";
constexpr std::string_view flash_name = "_flashes";
constexpr std::size_t id_bytes = 24;
constexpr std::size_t csrf_secret_bytes = 32;
constexpr std::size_t flashes_max = 20;

std::string cookie_name(const Request& request) { return request.is_secure() ? "__Host-session" : "session"; }
std::string csrf_cookie_name(const Request& request) { return request.is_secure() ? "__Host-csrf" : "csrf"; }

// Empty: none that csrf_token() has made.
std::string csrf_cookie(const Request& request) {
  std::string value = cookie(request, csrf_cookie_name(request)).value_or("");
  const auto secret = decode_base64url(value);
  return secret && secret->size() == csrf_secret_bytes ? value : "";
}

Value to_value(const Principal& principal) {
  Value roles = Value::list();
  for (const std::string& role : principal.roles) roles.append(role);
  return Value{{"name", principal.name}, {"roles", std::move(roles)}};
}

Principal to_principal(const Value& value) {
  Principal principal{.kind = Principal::Kind::user, .name = value["name"].as_string()};
  for (const Value& role : value["roles"].as_list()) principal.roles.push_back(role.as_string());
  return principal;
}

// Value has no way to remove a member.
Value without(const Value& object, std::string_view name) {
  Value rest = Value::object();
  for (const Member& member : object.as_object()) {
    if (member.name != name) rest.set(member.name, member.value);
  }
  return rest;
}

}  // namespace

std::string Session::text(std::string_view name) const {
  const Value* const value = find(name);
  return value != nullptr && value->kind() == Value::Kind::string ? value->as_string() : "";
}

std::int64_t Session::integer(std::string_view name) const {
  const Value* const value = find(name);
  return value != nullptr && value->kind() == Value::Kind::integer ? value->as_integer() : 0;
}

void Session::set(std::string_view name, Value value) {
  Value changed = values_;
  changed.set(name, value);
  if (changed.to_json().size() > bytes_max_)
    throw Error(ErrorKind::invalid, "set the session's value", name, "the session would be too large");
  values_ = std::move(changed);
  changes_.push_back({.name = std::string(name), .value = std::move(value)});
}

void Session::erase(std::string_view name) {
  if (find(name) == nullptr) return;
  values_ = without(values_, name);
  changes_.push_back({.name = std::string(name), .value = std::nullopt});
}

void Session::drop_changes() noexcept {
  changes_.clear();
  is_renewed_ = is_ended_ = is_csrf_new_ = false;
  if (id_.empty()) values_ = Value::object();
}

void Session::end() noexcept {
  values_ = Value::object();
  changes_.clear();
  csrf_.clear();
  is_ended_ = true;
}

void Session::flash(std::string text) {
  const Value* const now = find(flash_name);
  std::vector<Value> texts;
  if (now != nullptr) texts.assign(now->as_list().begin(), now->as_list().end());
  texts.emplace_back(std::move(text));
  if (texts.size() > flashes_max) texts.erase(texts.begin());
  set(flash_name, Value::list(std::move(texts)));
}

std::vector<std::string> Session::take_flashes() {
  std::vector<std::string> texts;
  const Value* const now = find(flash_name);
  if (now == nullptr) return texts;
  for (const Value& text : now->as_list()) texts.push_back(text.as_string());
  erase(flash_name);
  return texts;
}

class Sessions {
 public:
  explicit Sessions(SessionOptions options) : options_(std::move(options)) {
    if (!options_.store) options_.store = memory_sessions();
  }

  Task<Response> answer(Request& request, Next next) const {
    Session& session = request.attach(Session());
    session.bytes_max_ = options_.bytes_max;
    session.csrf_ = csrf_cookie(request);
    co_await load(request, session);
    Response response = co_await next.answered(request);
    if (response.status >= 500) session.drop_changes();
    co_await save(request, session, response);
    co_return response;
  }

 private:
  [[nodiscard]] SessionStore& store() const noexcept { return *options_.store; }

  Task<> load(Request& request, Session& session) const {
    const auto id = cookie(request, cookie_name(request));
    if (!id || id->size() > 64) co_return;
    std::optional<Value> values = co_await store().load(sha256(*id));
    if (!values) co_return;
    session.values_ = std::move(*values);
    session.id_ = *id;
    if (const Value* const user = session.find(detail::session_user)) request.set_principal(to_principal(*user));
  }

  // When the session was ended or renamed by another request meanwhile, the changes are dropped. Its cookie is left
  // alone: the browser may have the new one already.
  Task<> save(const Request& request, Session& session, Response& response) const {
    if (session.is_used_) response.header("Vary", "Cookie");
    if (session.is_ended_ && !session.id_.empty()) {
      co_await store().erase(sha256(session.id_));
      session.id_.clear();
      if (session.is_empty()) response.cookie(cookie_of(request, "", std::chrono::seconds(0)));
    }
    if (session.id_.empty()) {
      if (!session.is_empty()) co_return co_await insert(request, session, response);
      if (session.is_csrf_new_) response.cookie(csrf_cookie_of(request, session.csrf_));
      co_return;
    }
    if (session.is_renewed_) {  // first: the old id must never have the new rights
      const std::string id = encode_base64url(random_bytes(id_bytes));
      const bool is_there = co_await store().rename(sha256(session.id_), sha256(id));
      if (!is_there) co_return;
      session.id_ = id;
      response.cookie(cookie_of(request, id));
    }
    if (!session.changes_.empty()) co_await store().update(sha256(session.id_), std::move(session.changes_));
  }

  // Forms that the visitor has opened before stay valid: the secret of their cookie becomes that of the session.
  Task<> insert(const Request& request, Session& session, Response& response) const {
    if (!session.csrf_.empty()) session.values_.set(csrf_name, session.csrf_);
    session.id_ = encode_base64url(random_bytes(id_bytes));
    co_await store().insert(sha256(session.id_), session.values_);
    response.cookie(cookie_of(request, session.id_));
    if (!cookie(request, csrf_cookie_name(request))) co_return;
    response.cookie(csrf_cookie_of(request, "", std::chrono::seconds(0)));
  }

  static SetCookie cookie_of(const Request& request, std::string value, std::optional<std::chrono::seconds> age = {}) {
    return {.name = cookie_name(request), .value = std::move(value), .max_age = age, .secure = request.is_secure()};
  }
  static SetCookie csrf_cookie_of(const Request& request, std::string value,
                                  std::optional<std::chrono::seconds> age = {}) {
    return {
        .name = csrf_cookie_name(request), .value = std::move(value), .max_age = age, .secure = request.is_secure()};
  }

  SessionOptions options_;
};

Middleware sessions(SessionOptions options) {
  return
      [sessions = Sessions(std::move(options))](Request& request, Next next) { return sessions.answer(request, next); };
}

Session& session(Request& request) {
  auto* const found = request.attached<Session>();
  if (found == nullptr)
    throw Error(ErrorKind::invalid, "use", "the session", "the app has no middleware http::sessions()");
  found->is_used_ = true;
  return *found;
}

void log_in(Request& request, Principal principal) {
  Session& visitor = session(request);
  visitor.renew_id();
  visitor.erase(csrf_name);  // forms of before are void
  visitor.csrf_.clear();
  visitor.set(detail::session_user, to_value(principal));
  request.set_principal(std::move(principal));
}

void log_out(Request& request) {
  session(request).end();
  request.set_principal({});
}

}  // namespace coax::http
