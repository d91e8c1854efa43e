// The program's version; CHANGELOG.md says what is in it.
#pragma once

#define COAX_VERSION "0.1.0"
