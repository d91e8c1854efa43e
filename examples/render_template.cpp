// render_template FOLDER NAME: prints a template, filled with the JSON object on standard input.
#include <iostream>
#include <iterator>

#include "coax/coax.hpp"

void render(const coax::Arguments& given) {
  const std::string json{std::istreambuf_iterator<char>(std::cin), {}};
  const coax::http::Templates templates{std::string(given["FOLDER"])};
  std::cout << templates.render(given["NAME"], coax::http::parse_json(json)) << std::flush;
}

int main(int argc, char** argv) { return coax::program(argc, argv, "FOLDER NAME", render); }
