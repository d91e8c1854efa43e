// end_marked_stream_test: a stream that marks its end and has no half-close, tested with the stream contract.
#include "examples/tests/end_marked_stream.hpp"

#include <gtest/gtest.h>

#include "coax/test/stream_contract.hpp"

[[maybe_unused]] const bool registered = coax::test::register_stream_contract(
    {.name = "end_marked_stream", .make = end_marked_pair, .half_closes = false, .marks_end = true});
