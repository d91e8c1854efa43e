// http_folder PORT FOLDER [HOST]: serves the files of a folder.
#include "coax/coax.hpp"

coax::Task<> serve(const coax::Arguments& words) {
  coax::http::App app;
  app.use(coax::http::compression());
  app.mount("/", coax::http::folder(std::string(words["FOLDER"]), {.is_immutable = coax::http::has_hashed_name}));
  return coax::serve({.listen = words.address()}, coax::http::handler(std::move(app)));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT FOLDER [HOST]", serve); }
