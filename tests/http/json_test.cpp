// JSON into described structs and back: what is refused, and with which words.
#include "coax/http/json.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/support/http.hpp"

namespace coax::json_test {
namespace {

using http::from_json;
using http::member;
using http::parse_json;
using http::Request;
using http::Response;
using http::to_json;
using http::Value;

struct Todo {
  std::string title;
  bool done = false;
  int priority = 1;
  static constexpr auto members() {
    return std::tuple(member("title", &Todo::title).length(1, 5), member("done", &Todo::done).optional(),
                      member("priority", &Todo::priority).range(1, 5));
  }
};

struct Everything {
  std::uint8_t small = 0;
  std::uint64_t large = 0;
  double number = 0;
  float limited = 0;
  std::optional<std::string> maybe;
  std::vector<Todo> list;
  std::map<std::string, std::vector<int>> map;
  Value any;
  static constexpr auto members() {
    return std::tuple(member("small", &Everything::small).optional(), member("large", &Everything::large).optional(),
                      member("number", &Everything::number).optional(),
                      member("limited", &Everything::limited).range(-0.5F, 0.5F).optional(),
                      member("maybe", &Everything::maybe), member("list", &Everything::list).length(0, 2).optional(),
                      member("map", &Everything::map).length(0, 2).optional(),
                      member("any", &Everything::any).optional());
  }
};

template <class T>
std::string errors_of(std::string_view json) {
  const auto result = from_json<T>(parse_json(json));
  if (result) return "none";
  std::string text;
  for (const auto& [field, message] : result.error()) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", field, message);
  }
  return text;
}

http::App todos() {
  http::App app = test::bare();
  app.post("/", [](Request& request) { return Response::json(to_json(http::read_json<Todo>(request))); });
  return app;
}

std::string post(std::string_view type, std::string_view body) {
  return test::answer(
      todos(), fmt::format("POST / HTTP/1.1\r\nHost: a\r\n{}Content-Length: {}\r\n\r\n{}", type, body.size(), body));
}

class HttpJson : public test::QuietLog {};

}  // namespace

TEST(Json, structs_are_read_and_written) {
  const auto todo = from_json<Todo>(parse_json(R"({"title":"Tea","done":true,"priority":5,"unknown":[1]})"));
  ASSERT_TRUE(todo);
  EXPECT_EQ(to_json(*todo), R"({"title":"Tea","done":true,"priority":5})");
  EXPECT_EQ(to_json(*from_json<Todo>(parse_json(R"({"title":"Tea","priority":1})"))),
            R"({"title":"Tea","done":false,"priority":1})");
  const std::string_view text =
      R"({"small":255,"large":9223372036854775807,"number":1.5,"limited":0.25,"maybe":"x",)"
      R"("list":[{"title":"a","done":false,"priority":2}],"map":{"m":[1,2]},"any":{"b":[null]}})";
  EXPECT_EQ(to_json(*from_json<Everything>(parse_json(text))), text);
  EXPECT_EQ(from_json<Everything>(parse_json(R"({"number":2,"maybe":null})"))->number, 2.0);
}

TEST(Json, all_errors_are_reported_with_their_places) {
  EXPECT_EQ(errors_of<Todo>("{}"), "title: is missing; priority: is missing");
  EXPECT_EQ(errors_of<Todo>(R"({"title":1,"done":"yes","priority":"2"})"),
            "title: must be a string, is an integer; done: must be a boolean, is a string; "
            "priority: must be an integer, is a string");
  EXPECT_EQ(errors_of<Todo>(R"({"title":null,"priority":3.0})"),
            "title: must be a string, is null; priority: must be an integer, is a number");
  EXPECT_EQ(errors_of<Todo>(R"({"title":"","priority":0})"),
            "title: must have 1 to 5 characters, has 0; priority: must be 1 to 5");
  EXPECT_EQ(errors_of<Todo>(R"({"title":"123456","priority":6})"),
            "title: must have 1 to 5 characters, has 6; priority: must be 1 to 5");
  EXPECT_EQ(errors_of<Todo>(R"({"title":"äöüßé","priority":2147483648})"),
            "priority: must be -2147483648 to 2147483647");
  EXPECT_EQ(errors_of<Todo>(R"({"title":"a","priority":99999999999999999999})"),
            "priority: must be an integer, is a number");
  for (const char* other : {"[]", "null", "3", "\"x\"", "true"}) {
    EXPECT_TRUE(errors_of<Todo>(other).starts_with(": must be an object, is ")) << other;
  }
  EXPECT_EQ(errors_of<Everything>(R"({"small":256,"large":-1,"limited":0.75,"maybe":1,"list":[{},2,{}]})"),
            "small: must be 0 to 255; large: must be 0 to 18446744073709551615; limited: must be -0.5 to 0.5; "
            "maybe: must be a string, is an integer; list[0].title: is missing; list[0].priority: is missing; "
            "list[1]: must be an object, is an integer; list[2].title: is missing; list[2].priority: is missing");
  EXPECT_EQ(errors_of<Everything>(R"({"map":{"a":[1,"x"]}})"), "map.a[1]: must be an integer, is a string");
  EXPECT_EQ(errors_of<Everything>(R"({"map":{"a":[],"b":[],"c":[]}})"), "map: must have 0 to 2 elements, has 3");
}

TEST(Json, bounds_of_optional_members_hold_when_they_are_present) {
  struct Filter {
    std::optional<int> page;
    std::optional<double> share;
    std::optional<std::string> word;
    std::optional<std::vector<int>> ids;
    std::vector<int> list;
    static constexpr auto members() {
      return std::tuple(member("page", &Filter::page).range(1, 9), member("share", &Filter::share).range(0, 1),
                        member("word", &Filter::word).length(2, 3), member("ids", &Filter::ids).length(1, 2),
                        member("list", &Filter::list).length(1, 2).optional());
    }
  };
  EXPECT_EQ(errors_of<Filter>("{}"), "none");
  EXPECT_EQ(errors_of<Filter>(R"({"page":null,"share":null,"word":null,"ids":null})"), "none");
  EXPECT_EQ(errors_of<Filter>(R"({"page":9,"share":1,"word":"ab","ids":[1],"list":[1,2]})"), "none");
  EXPECT_EQ(errors_of<Filter>(R"({"page":0,"share":1.5,"word":"a","ids":[],"list":[]})"),
            "page: must be 1 to 9; share: must be 0.0 to 1.0; word: must have 2 to 3 characters, has 1; "
            "ids: must have 1 to 2 elements, has 0; list: must have 1 to 2 elements, has 0");
}

TEST(Json, text_is_read_without_a_request) {
  EXPECT_EQ(from_json<Todo>(R"({"title":"Tea","priority":2})")->title, "Tea");
  EXPECT_EQ(from_json<std::vector<int>>(std::string("[1,2]"))->size(), 2U);
  const auto wrong = from_json<std::vector<Todo>>(std::string_view(R"([{"title":"Tea","priority":"2"}])"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().front().field, "[0].priority");
  EXPECT_EQ(wrong.error().front().message, "must be an integer, is a string");
  const auto none = from_json<Todo>(R"({"title":)");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().front().field, "");
  EXPECT_TRUE(none.error().front().message.starts_with("is not JSON: line 1, column ")) << none.error().front().message;
}

TEST(Json, errors_are_limited) {
  std::string many = R"({"list":[)";
  for (int i = 0; i < 1000; ++i) many += "1,";
  const auto result = from_json<Everything>(parse_json(many + "1]}"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().size(), 100U);
  const auto named = from_json<Everything>(parse_json(R"({"map":{")" + std::string(10'000, 'x') + R"(":1}})"));
  ASSERT_FALSE(named);
  EXPECT_LT(named.error().front().field.size(), 100U);
}

TEST_F(HttpJson, a_body_is_read_or_refused_by_status) {
  const std::string_view type = "Content-Type: application/json\r\n";
  const std::string_view good = R"({"title":"Tea","priority":2})";
  EXPECT_EQ(test::body_of(post(type, good)), R"({"title":"Tea","done":false,"priority":2})");
  for (const char* other :
       {"Content-Type: APPLICATION/JSON ; charset=utf-8\r\n", "Content-Type: application/vnd.todo+json\r\n"}) {
    EXPECT_TRUE(post(other, good).starts_with("HTTP/1.1 200 ")) << other;
  }
  for (const char* other : {"", "Content-Type: text/json5\r\n", "Content-Type: +json\r\n",
                            "Content-Type: application/x-www-form-urlencoded\r\n"}) {
    EXPECT_TRUE(post(other, good).starts_with("HTTP/1.1 415 ")) << other;
  }
  for (const char* bad : {"", "{", "{\"title\":\"a\",\"title\":\"b\",\"priority\":1}", "{\"title\":NaN}", "1e999",
                          "{\"title\":\"\xFF\"}"}) {
    EXPECT_TRUE(post(type, bad).starts_with("HTTP/1.1 400 ")) << bad;
  }
  EXPECT_EQ(test::body_of(post(type, "{\n \"title\": }")),
            "400 Bad Request: line 2, column 11: an unexpected character\n");
  const std::string refused = post(type, R"({"title":"Tea","priority":9})");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 422 ")) << refused;
  EXPECT_EQ(test::header_of(refused, "Content-Type"), "application/json");
  EXPECT_EQ(test::body_of(refused), "{\"errors\":[{\"field\":\"priority\",\"message\":\"must be 1 to 5\"}]}\n");
}

TEST_F(HttpJson, response_has_a_struct_a_value_or_text_that_is_json) {
  const auto text = [](const Response& response) { return std::get<std::string>(response.body); };
  EXPECT_EQ(text(Response::json(Todo{.title = "Tea"})), R"({"title":"Tea","done":false,"priority":1})");
  EXPECT_EQ(text(Response::json(std::vector<int>{1, 2})), "[1,2]");
  EXPECT_EQ(text(Response::json(Value("Tea"))), R"("Tea")");
  EXPECT_EQ(text(Response::json(R"({"a":1})")), R"({"a":1})");
  EXPECT_EQ(text(Response::json(std::string("[]"))), "[]");
  EXPECT_EQ(Response::json(Value(), 201).status, 201);
}

}  // namespace coax::json_test
