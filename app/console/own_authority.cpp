// Files of the user's authority.
#include "app/console/own_authority.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "app/console/files.hpp"
#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"
#include "coax/net/file_descriptor.hpp"

namespace coax::app {

namespace {

std::string data_directory() {
  const auto absolute = [](const char* value) { return value != nullptr && *value == '/'; };
  if (const char* const data = std::getenv("XDG_DATA_HOME"); absolute(data)) return std::string(data) + "/coax";
  if (const char* const home = std::getenv("HOME"); absolute(home)) return std::string(home) + "/.local/share/coax";
  throw Error(ErrorKind::invalid, "find", "the data directory", "set HOME or XDG_DATA_HOME");
}

bool exists(const std::string& path) { return std::filesystem::exists(std::filesystem::status(path)); }

std::string machine_name() {
  constexpr std::size_t bytes_max = 46;  // a common name has 64 bytes at most (RFC 5280, appendix A.1)
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || !is_utf8(std::string_view(name.data())))
    return "this machine";
  return std::string(first_characters(name.data(), bytes_max));
}

// Names as a part of a file name; many of them with a checksum (FNV-1a) instead of the last ones.
std::string file_name_for(const std::vector<std::string>& names) {
  constexpr std::size_t bytes_max = 80;
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "+") + name;
  std::uint64_t checksum = 0xcbf29ce484222325;
  for (const char c : text) checksum = (checksum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::ranges::replace_if(text, [](char c) { return c == '/' || c == '*' || c == ':'; }, '_');
  if (text.size() <= bytes_max) return text;
  return fmt::format("{}-{:016x}", first_characters(text, bytes_max), checksum);
}

// Of several processes one makes an authority or a certificate, and the others wait and use it.
class Lock {
 public:
  explicit Lock(const std::string& directory) {
    const std::string path = directory + "/lock";
    file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file_) throw Error(errno, "open", path);
    while (::flock(file_.native(), LOCK_EX) != 0) {
      if (errno != EINTR) throw Error(errno, "lock", path);
    }
  }

 private:
  FileDescriptor file_;
};

bool has_exactly(const tls::Certificate& certificate, const std::vector<std::string>& names) {
  return certificate.names.size() + certificate.addresses.size() == names.size() &&
         std::ranges::all_of(names, [&](std::string name) {
           if (name.starts_with("*.")) name.replace(0, 1, "any");
           return certificate.is_for(name);
         });
}

// Throws: Error, with the names of the files, when one cannot be read, or they do not belong together.
void check_pair(const tls::Identity& identity) { tls::ServerContext({.identities = {identity}}); }

}  // namespace

void write_identity(const tls::Issued& issued, const std::string& certificate_file, const std::string& key_file,
                    bool replace) {
  const std::array<FileContent, 2> files{{{.path = key_file, .content = issued.key, .mode = 0600},
                                          {.path = certificate_file, .content = issued.certificate, .mode = 0644}}};
  write_files(files, replace);
}

std::optional<std::string> OwnAuthority::file_if_present() {
  try {
    std::string file = data_directory() + "/authority.pem";
    if (::access(file.c_str(), R_OK) == 0) return file;
  } catch (const Error&) {  // there is no data directory
  }
  return std::nullopt;
}

OwnAuthority OwnAuthority::open() {
  OwnAuthority authority;
  authority.directory_ = data_directory();
  authority.certificate_file_ = authority.directory_ + "/authority.pem";
  const std::string key_file = authority.directory_ + "/authority.key";
  std::error_code failure;
  std::filesystem::create_directories(authority.directory_, failure);
  if (failure) throw Error(failure.value(), "make the directory", authority.directory_);
  ::chmod(authority.directory_.c_str(), 0700);
  const Lock lock(authority.directory_);
  if (exists(authority.certificate_file_)) {
    if (!exists(key_file)) {
      throw Error(ENOENT, "read", key_file, "remove " + authority.certificate_file_ + " to make a new authority");
    }
    check_pair({.certificate_file = authority.certificate_file_, .key_file = key_file});
    authority.issued_ = {.certificate = read_file(authority.certificate_file_), .key = read_file(key_file)};
    return authority;
  }
  authority.issued_ = tls::make_authority({.common_name = "Coax authority of " + machine_name()});
  // A key without a certificate was left by an interruption, and has issued nothing.
  write_identity(authority.issued_, authority.certificate_file_, key_file, true);
  authority.is_new_ = true;
  return authority;
}

tls::Identity OwnAuthority::identity_for(const std::vector<std::string>& names) const {
  const std::string base = directory_ + "/" + file_name_for(names);
  tls::Identity identity{.certificate_file = base + ".pem", .key_file = base + ".key"};
  const auto now = std::chrono::system_clock::now();
  const Lock lock(directory_);
  try {
    const tls::Certificate present = tls::read_certificates(identity.certificate_file).front();
    const tls::Certificate own = tls::read_certificates(certificate_file_).front();
    const bool is_last = present.not_after >= own.not_after;  // a new one would not be valid for longer
    if ((is_last || present.not_after > now + std::chrono::days(30)) && present.is_signed_by(own) &&
        has_exactly(present, names)) {
      check_pair(identity);
      return identity;
    }
  } catch (const Error&) {  // there is none yet, or it is of no use
  }
  write_identity(issue({.names = names}), identity.certificate_file, identity.key_file, true);
  return identity;
}

std::string how_to_trust(const std::string& file) {
  return safe_text(
      "  curl       curl --cacert {0} ...\n"
      "  Python     ssl.create_default_context(cafile=\"{0}\")\n"
      "  coax       coax connect --tls --ca {0} HOST:PORT\n"
      "  Firefox    Settings, Certificates, View Certificates, Authorities, Import: {0}\n"
      "  Chromium   certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n coax -i {0}\n"
      "  Debian     sudo cp {0} /usr/local/share/ca-certificates/coax.crt && sudo update-ca-certificates\n",
      file);
}

}  // namespace coax::app
