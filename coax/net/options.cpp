// The numbers of the options.
#include "coax/net/options.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>

namespace coax::options {

using std::chrono::milliseconds;
using std::chrono::seconds;

constinit const Flag reuse_address{{SOL_SOCKET, SO_REUSEADDR}};
constinit const Flag reuse_port{{SOL_SOCKET, SO_REUSEPORT}};
constinit const Flag keep_alive_on{{SOL_SOCKET, SO_KEEPALIVE}};
constinit const Flag broadcast{{SOL_SOCKET, SO_BROADCAST}};
constinit const Flag pass_credentials{{SOL_SOCKET, SO_PASSCRED}};
constinit const Flag out_of_band_inline{{SOL_SOCKET, SO_OOBINLINE}};
constinit const Size receive_buffer{{SOL_SOCKET, SO_RCVBUF}};
constinit const Size send_buffer{{SOL_SOCKET, SO_SNDBUF}};
constinit const Number receive_low_water{{SOL_SOCKET, SO_RCVLOWAT}};
constinit const Number priority{{SOL_SOCKET, SO_PRIORITY}};
constinit const Number mark{{SOL_SOCKET, SO_MARK}};
constinit const Number busy_poll{{SOL_SOCKET, SO_BUSY_POLL}};
constinit const Text bind_to_device{{SOL_SOCKET, SO_BINDTODEVICE}};
constinit const Number error{{SOL_SOCKET, SO_ERROR}};
constinit const Flag is_listening{{SOL_SOCKET, SO_ACCEPTCONN}};
constinit const Number family{{SOL_SOCKET, SO_DOMAIN}};
constinit const Number type{{SOL_SOCKET, SO_TYPE}};
constinit const Number protocol{{SOL_SOCKET, SO_PROTOCOL}};

constinit const Flag no_delay{{IPPROTO_TCP, TCP_NODELAY}};
constinit const Flag cork{{IPPROTO_TCP, TCP_CORK}};
constinit const Flag quick_ack{{IPPROTO_TCP, TCP_QUICKACK}};
constinit const Number fast_open{{IPPROTO_TCP, TCP_FASTOPEN}};
constinit const Flag fast_open_connect{{IPPROTO_TCP, TCP_FASTOPEN_CONNECT}};
constinit const Period defer_accept{{IPPROTO_TCP, TCP_DEFER_ACCEPT}, seconds(1)};
constinit const Period keep_alive_idle{{IPPROTO_TCP, TCP_KEEPIDLE}, seconds(1)};
constinit const Period keep_alive_interval{{IPPROTO_TCP, TCP_KEEPINTVL}, seconds(1)};
constinit const Number keep_alive_count{{IPPROTO_TCP, TCP_KEEPCNT}};
constinit const Period user_timeout{{IPPROTO_TCP, TCP_USER_TIMEOUT}, milliseconds(1)};
constinit const Number maximum_segment{{IPPROTO_TCP, TCP_MAXSEG}};
constinit const Number not_sent_low_water{{IPPROTO_TCP, TCP_NOTSENT_LOWAT}};
constinit const Text congestion{{IPPROTO_TCP, TCP_CONGESTION}};

constinit const Number ttl{{IPPROTO_IP, IP_TTL}};
constinit const Number type_of_service{{IPPROTO_IP, IP_TOS}};
constinit const Number multicast_ttl{{IPPROTO_IP, IP_MULTICAST_TTL}};
constinit const Flag multicast_loop{{IPPROTO_IP, IP_MULTICAST_LOOP}};
constinit const Flag transparent{{IPPROTO_IP, IP_TRANSPARENT}};
constinit const Flag free_bind{{IPPROTO_IP, IP_FREEBIND}};
constinit const Flag v6_only{{IPPROTO_IPV6, IPV6_V6ONLY}};
constinit const Number v6_hops{{IPPROTO_IPV6, IPV6_UNICAST_HOPS}};
constinit const Number v6_multicast_hops{{IPPROTO_IPV6, IPV6_MULTICAST_HOPS}};
constinit const Flag v6_multicast_loop{{IPPROTO_IPV6, IPV6_MULTICAST_LOOP}};
constinit const Number v6_multicast_interface{{IPPROTO_IPV6, IPV6_MULTICAST_IF}};
constinit const Number v6_traffic_class{{IPPROTO_IPV6, IPV6_TCLASS}};

}  // namespace coax::options
