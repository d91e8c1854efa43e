// The pages of the hub: every file of this folder, compiled into the program, so that it is deployed as one file.
#pragma once

#include <span>
#include <string_view>

namespace coax::web {

struct Page {
  std::string_view path;          // as the request names it: "/" for index.html, "/style.css"
  std::string_view content_type;  // as the Content-Type field has it
  std::string_view body;          // the bytes of the file
};

// Sorted by file name. Lifetime: the views live as long as the program. Thread: any.
std::span<const Page> pages();
// Those of app/pages: the listing of a folder, for `coax http`.
std::span<const Page> listing_files();

}  // namespace coax::web
