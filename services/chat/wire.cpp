// The table of the wires, by their form.
#include "services/chat/wire.hpp"

#include "services/chat/json_wire.hpp"
#include "services/chat/line_wire.hpp"

namespace coax::chat {

const std::array<Wire, forms> wires = {
    Wire{.append_event = append_line, .append_welcome = [](std::string&, const Welcome&) {}},
    Wire{.append_event = append_json_event, .append_welcome = append_json_welcome},
};

}  // namespace coax::chat
