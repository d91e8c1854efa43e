// Where templates come from, and the compiled ones.
#include "coax/http/template.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <shared_mutex>
#include <variant>

#include "coax/http/template_program_private.hpp"

namespace coax::http {

namespace {

using templates::Fault;
using templates::Program;
using templates::SourceText;
namespace fs = std::filesystem;

constexpr std::size_t file_bytes_max = 1_MiB;
using Texts = std::map<std::string, std::string, std::less<>>;

// What changes when a file does.
struct FileState {
  fs::path path;
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
  std::int64_t size = -1;
  std::uint64_t inode = 0;
  friend bool operator==(const FileState&, const FileState&) = default;
};

FileState state_of(const fs::path& path, const struct stat& status) {
  return {.path = path,
          .seconds = status.st_mtim.tv_sec,
          .nanoseconds = status.st_mtim.tv_nsec,
          .size = status.st_size,
          .inode = status.st_ino};
}

bool has_changed(const FileState& file) {
  struct stat status{};
  return ::stat(file.path.c_str(), &status) != 0 || !(state_of(file.path, status) == file);
}

struct Compiled {
  std::shared_ptr<const Program> program;
  std::vector<FileState> files;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::string read_all(int fd, const std::string& shown) {
  std::string text;
  while (true) {
    constexpr std::size_t piece_bytes = 64_KiB;
    const std::size_t have = text.size();
    text.resize(have + piece_bytes);
    const ssize_t count = ::read(fd, text.data() + have, piece_bytes);
    if (count < 0 && errno == EINTR) {
      text.resize(have);
      continue;
    }
    if (count < 0) throw Error(errno, "read the template", shown);
    text.resize(have + static_cast<std::size_t>(count));
    if (count == 0) return text;
    if (text.size() > file_bytes_max) throw Error(ErrorKind::invalid, "read the template", shown, "it is above 1 MiB");
  }
}

}  // namespace

struct Templates::Store {
  [[nodiscard]] bool reloads() const noexcept { return options.reload.value_or(templates::in_development); }
  SourceText read(const std::string& name, std::vector<FileState>& files) const;
  SourceText read_file(const std::string& name, std::vector<FileState>& files) const;
  std::shared_ptr<const Compiled> find(std::string_view name);
  std::shared_ptr<const Compiled> compile(std::string_view name);

  TemplateOptions options;
  std::variant<fs::path, Texts> source;
  fs::path root;  // of a folder: without symbolic links
  templates::OwnFunctions functions;
  std::shared_mutex mutex;
  std::map<std::string, std::shared_ptr<const Compiled>, std::less<>> compiled;  // under the mutex
};

SourceText Templates::Store::read(const std::string& name, std::vector<FileState>& files) const {
  const auto* texts = std::get_if<Texts>(&source);
  if (texts == nullptr) return read_file(name, files);
  const auto found = texts->find(name);
  if (found == texts->end()) throw Fault{"there is no template '" + name + "'"};
  if (found->second.size() > file_bytes_max) throw Fault{"the template '" + name + "' is above 1 MiB"};
  return {.shown = name, .text = found->second};
}

// Links within the folder are followed; one that leads out of it makes the path begin with something else.
SourceText Templates::Store::read_file(const std::string& name, std::vector<FileState>& files) const {
  const fs::path path = std::get<fs::path>(source) / name;
  std::error_code fault;
  const fs::path target = fs::canonical(path, fault);
  if (fault) throw Fault{"the template '" + name + "' cannot be read: " + fault.message()};
  const auto [at_root, at_target] = std::ranges::mismatch(root, target);
  if (at_root != root.end()) throw Fault{"the template '" + name + "' is a link that leads out of the folder"};
  // Not blocking: the file may be a pipe, which is refused below.
  const Descriptor file(::open(target.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) throw Error(errno, "read the template", path.native());
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw Error(errno, "read the template", path.native());
  if (!S_ISREG(status.st_mode)) throw Fault{"the template '" + name + "' is no file"};
  files.push_back(state_of(path, status));
  return {.shown = path.native(), .text = read_all(file.get(), path.native())};
}

std::shared_ptr<const Compiled> Templates::Store::compile(std::string_view name) {
  auto result = std::make_shared<Compiled>();
  const auto read_source = [&](const std::string& other) { return read(other, result->files); };
  try {
    const std::string path = templates::resolve_name(name, {});
    if (path != name) throw Fault{"the template is '" + path + "'; write it so"};
    result->program = templates::compile_program(path, functions, read_source);
  } catch (const Fault& fault) {
    throw Error(ErrorKind::invalid, "render the template", name, fault.reason);
  }
  return result;
}

std::shared_ptr<const Compiled> Templates::Store::find(std::string_view name) {
  {
    const std::shared_lock lock(mutex);
    const auto found = compiled.find(name);
    if (found != compiled.end() && !(reloads() && std::ranges::any_of(found->second->files, has_changed))) {
      return found->second;
    }
  }
  auto result = compile(name);
  const std::unique_lock lock(mutex);
  return compiled.insert_or_assign(std::string(name), std::move(result)).first->second;
}

Templates::Templates(const fs::path& folder, TemplateOptions options) : store_(std::make_unique<Store>()) {
  store_->options = options;
  std::error_code fault;
  store_->root = fs::canonical(folder, fault);
  if (fault) throw Error(fault.value(), "read templates from", folder.native());
  if (!fs::is_directory(store_->root, fault)) throw Error(ENOTDIR, "read templates from", folder.native());
  store_->source = folder;
}

Templates::Templates(std::unique_ptr<Store> store) noexcept : store_(std::move(store)) {}

Templates Templates::in_memory(Texts texts, TemplateOptions options) {
  auto store = std::make_unique<Store>();
  store->options = options;
  store->source = std::move(texts);
  return Templates(std::move(store));
}

Templates::Templates(Templates&&) noexcept = default;
Templates& Templates::operator=(Templates&&) noexcept = default;
Templates::~Templates() = default;

Templates& Templates::function(std::string_view name, TemplateFunction function) {
  if (!function) throw Error(ErrorKind::invalid, "add the function", name, "it is empty");
  templates::Names names;
  try {
    if (templates::parse_targets(name, {names, store_->functions}).size() != 1) throw Fault{"it is no name"};
  } catch (const Fault& fault) {
    throw Error(ErrorKind::invalid, "add the function", name, fault.reason);
  }
  auto shared = std::make_shared<const TemplateFunction>(std::move(function));
  std::erase_if(store_->functions, [&](const auto& other) { return other.first == name; });
  store_->functions.emplace_back(name, std::move(shared));
  store_->compiled.clear();
  return *this;
}

std::string Templates::render(std::string_view name, const Value& data) const {
  const std::shared_ptr<const Compiled> found = store_->find(name);
  return templates::run_program(*found->program, data, store_->options);
}

void Templates::compile(std::string_view name) const { static_cast<void>(store_->find(name)); }

}  // namespace coax::http
