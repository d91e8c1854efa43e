// The page is a template of app/pages; the values are made here.
#include "app/commands/http_listing.hpp"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <tuple>

#include "app/version.hpp"
#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/url.hpp"
#include "coax/http/negotiate.hpp"
#include "web/pages.hpp"

namespace coax::app {

namespace {

using http::FolderEntry;
using http::Value;
using std::string_view;

constexpr std::size_t entries_max = 10'000;  // of http::FolderListing

// No script or style but its own, and no request to other hosts.
constexpr const char* policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'";

string_view icon_of(const FolderEntry& entry) {
  if (entry.is_folder) return "folder";
  const string_view type = http::media_type_of(entry.name);
  for (const string_view kind : {"image", "audio", "video", "text"}) {
    if (type.starts_with(kind)) return kind;
  }
  static constexpr std::array archives{string_view("application/zip"), string_view("application/gzip"),
                                       string_view("application/x-tar"), string_view("application/zstd"),
                                       string_view("application/x-7z-compressed")};
  if (std::ranges::count(archives, type) != 0) return "archive";
  return type == "application/json" || type == "application/xml" ? "text" : "file";
}

// "1.4 MB": powers of 1000, as file managers show them.
std::string size_text(std::uint64_t size) {
  if (size < 1000) return fmt::format("{} B", size);
  double value = static_cast<double>(size);
  string_view unit;
  for (const string_view next : {"kB", "MB", "GB", "TB"}) {
    if (value < 999.5) break;
    value /= 1000;
    unit = next;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, unit) : fmt::format("{:.0f} {}", value, unit);
}

std::string date_of(const FolderEntry& entry, const char* format) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(entry.modified);
  return fmt::format(fmt::runtime(format), fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
}

std::int64_t time_of(const FolderEntry& entry) {
  return std::chrono::floor<std::chrono::seconds>(entry.modified).time_since_epoch().count();
}

struct Order {
  string_view key = "name";
  bool is_descending = false;
};

Order order_of(const http::Request& request) {
  const string_view key = request.query("sort");
  Order order{.key = key == "size" || key == "date" ? key : "name"};
  order.is_descending = request.query("order") == "desc";
  return order;
}

// Folders first. Names are compared without regard to case.
std::vector<FolderEntry> sorted(const std::vector<FolderEntry>& unsorted, const Order& order) {
  struct Keyed {
    std::int64_t number = 0;
    std::string name;
    const FolderEntry* entry = nullptr;
  };
  std::vector<Keyed> all;
  for (const FolderEntry& entry : unsorted) {
    const std::int64_t number = order.key == "size"   ? static_cast<std::int64_t>(entry.size)
                                : order.key == "date" ? entry.modified.time_since_epoch().count()
                                                      : 0;
    all.push_back({.number = number, .name = fold_case(valid_utf8(entry.name)), .entry = &entry});
  }
  std::ranges::sort(all, [&](const Keyed& a, const Keyed& b) {
    if (a.entry->is_folder != b.entry->is_folder) return a.entry->is_folder;
    const Keyed& first = order.is_descending ? b : a;
    const Keyed& second = order.is_descending ? a : b;
    if (a.number != b.number) return first.number < second.number;
    if (order.key != "name") return std::tie(a.name, a.entry->name) < std::tie(b.name, b.entry->name);
    return std::tie(first.name, first.entry->name) < std::tie(second.name, second.entry->name);
  });
  std::vector<FolderEntry> entries;
  for (const Keyed& each : all) entries.push_back(*each.entry);
  return entries;
}

Value crumbs_of(string_view path, const std::string& top) {
  Value::List crumbs;
  std::string href = "/";
  crumbs.push_back(Value{{"name", top}, {"href", href}});
  for (string_view rest = path.substr(1); !rest.empty();) {
    const string_view segment = rest.substr(0, rest.find('/'));
    href += percent_encode(segment) + "/";
    crumbs.push_back(Value{{"name", valid_utf8(segment)}, {"href", href}});
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
  }
  return Value::list(std::move(crumbs));
}

Value columns_of(const Order& order) {
  Value::List columns;
  for (const auto& [name, title] :
       {std::pair("name", "Name"), std::pair("size", "Size"), std::pair("date", "Modified")}) {
    const bool is_key = order.key == name;
    const bool would_descend = is_key ? !order.is_descending : order.key == string_view("date");
    columns.push_back(Value{{"name", name},
                            {"title", title},
                            {"href", fmt::format("?sort={}&order={}", name, would_descend ? "desc" : "asc")},
                            {"sort", !is_key               ? "none"
                                     : order.is_descending ? "descending"
                                                           : "ascending"}});
  }
  return Value::list(std::move(columns));
}

std::string summary_of(const std::vector<FolderEntry>& entries) {
  const auto folders = static_cast<std::size_t>(std::ranges::count_if(entries, &FolderEntry::is_folder));
  const std::size_t files = entries.size() - folders;
  std::uint64_t size = 0;
  for (const FolderEntry& entry : entries) size += entry.size;
  std::string text;
  if (folders != 0) text = fmt::format("{} folder{}, ", folders, folders == 1 ? "" : "s");
  text += fmt::format("{} file{}, {}", files, files == 1 ? "" : "s", size_text(size));
  return entries.size() == entries_max ? text + ": the first 10,000 names" : text;
}

std::string json_of(const std::vector<FolderEntry>& entries) {
  Value::List all;
  for (const FolderEntry& entry : entries) {
    Value each{{"name", valid_utf8(entry.name)},
               {"url", percent_encode(entry.name) + (entry.is_folder ? "/" : "")},  // relative to the list
               {"type", entry.is_folder ? "folder" : "file"},
               {"modified", date_of(entry, "{:%Y-%m-%dT%H:%M:%SZ}")}};
    if (!entry.is_folder) each.set("size", entry.size);
    all.push_back(std::move(each));
  }
  return Value::list(std::move(all)).to_json() + "\n";
}

}  // namespace

Listing::Listing(ListingOptions options) : options_(std::move(options)) {
  std::map<std::string, std::string, std::less<>> texts;
  for (const web::Page& file : web::listing_files()) {
    if (file.path.ends_with(".html")) texts.emplace(file.path.substr(1), file.body);
  }
  auto templates = std::make_shared<http::Templates>(http::Templates::in_memory(std::move(texts)));
  templates->compile("listing.html");
  templates_ = std::move(templates);
}

void Listing::add_files(http::Router& router) {
  static std::vector<std::string> paths;  // which the routes refer to
  if (paths.empty()) {
    for (const web::Page& file : web::listing_files()) paths.push_back("/.coax" + std::string(file.path));
  }
  std::size_t index = 0;
  for (const web::Page& file : web::listing_files()) {
    const std::string& path = paths[index++];
    if (!path.ends_with(".html")) router.file({.path = path, .content_type = file.content_type, .body = file.body});
  }
}

http::Response Listing::operator()(const http::Request& request, const std::vector<FolderEntry>& unsorted) const {
  const Order order = order_of(request);
  const std::vector<FolderEntry> entries = sorted(unsorted, order);
  if (http::preferred(request.header("Accept"), {"text/html", "application/json"}) == "application/json") {
    auto response = http::Response::json(json_of(entries)).header("Vary", "Accept").header("Cache-Control", "no-cache");
    if (entries.size() == entries_max) response.header("X-Truncated", fmt::format("the first {} names", entries_max));
    return response;
  }
  Value::List rows;
  for (const FolderEntry& entry : entries) {
    rows.push_back(Value{{"name", valid_utf8(entry.name)},
                         {"href", "./" + percent_encode(entry.name) + (entry.is_folder ? "/" : "")},
                         {"is_folder", entry.is_folder ? "1" : "0"},
                         {"icon", icon_of(entry)},
                         {"size", entry.size},
                         {"time", time_of(entry)},
                         {"size_text", entry.is_folder ? std::string() : size_text(entry.size)},
                         {"date", date_of(entry, "{:%Y-%m-%dT%H:%M:%SZ}")},
                         {"date_text", date_of(entry, "{:%Y-%m-%d %H:%M} UTC")}});
  }
  const string_view path = request.path();
  Value data{{"version", COAX_VERSION}, {"may_upload", options_.may_upload}, {"has_parent", path.size() > 1}};
  data.set("title", path.size() > 1 ? valid_utf8(path.substr(1)) : options_.title);
  data.set("crumbs", crumbs_of(path, options_.title));
  data.set("columns", columns_of(order));
  data.set("entries", Value::list(std::move(rows)));
  data.set("summary", summary_of(entries));
  return http::Response::html(templates_->render("listing.html", data))
      .header("Vary", "Accept")
      .header("Cache-Control", "no-cache")
      .header("Content-Security-Policy", policy)
      .header("Referrer-Policy", "no-referrer");
}

}  // namespace coax::app
