// Events as records of the bus: JSON objects, so that other programs can read a history.
#pragma once

#include <optional>
#include <string>

#include "coax/bus/bus.hpp"
#include "services/chat/event.hpp"

namespace coax::chat {

// The body of its record: all but the sequence number and the time, which are the record's.
std::string body_of(const Event& event);
// Returns: nothing for a body that is not of this form, such as a deleted message's, which is empty.
std::optional<Event> event_of(const Record& record);

}  // namespace coax::chat
