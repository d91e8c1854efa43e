// The program's version; CHANGELOG.md has the changes.
#pragma once

#define COAX_VERSION "0.1.0"
