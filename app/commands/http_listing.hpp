// The listing of a folder, for `coax http`: a page for people, JSON for programs.
#pragma once

#include <memory>
#include <vector>

#include "coax/http/folder.hpp"
#include "coax/http/template.hpp"

namespace coax::app {

struct ListingOptions {
  std::string title;  // of the folder that is served
  bool may_upload = false;
};

class Listing {
 public:
  explicit Listing(ListingOptions options);
  // Its style, script and icon.
  static void add_files(http::Router& router);
  // By Accept: HTML or JSON. The order is that of ?sort=name|size|date&order=asc|desc, with folders first.
  // Thread: any.
  [[nodiscard]] http::Response operator()(const http::Request& request,
                                          const std::vector<http::FolderEntry>& entries) const;

 private:
  ListingOptions options_;
  std::shared_ptr<const http::Templates> templates_;
};

}  // namespace coax::app
