// Uploads into a folder that is served, for `coax http --upload`.
#pragma once

#include <cstdint>
#include <string>

#include "coax/http/router.hpp"

namespace coax::app {

struct UploadOptions {
  std::string root;               // absolute
  std::size_t bytes_max = 1_GiB;  // of one request
};

// POST multipart/form-data to the path of a folder stores its files there. They are written without a name, which they
// get when they are complete: a client that leaves, and a full disk, leave nothing behind. No file is replaced, no name
// is hidden or has a slash.
// 201; 303 back to the folder for a form without a script; 400, 404, 409, 413, 503 and 507, with the reason as JSON
// {"error": ...} or text. When a file cannot be stored, or has a name that is refused, it also names those that were
// stored, and the others: {"error": ..., "stored": [...], "not_stored": [...]}.
void add_uploads(http::Router& router, UploadOptions options);

}  // namespace coax::app
