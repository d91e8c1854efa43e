// coax http: the files of a folder for browsers, with a listing; with --upload files can be left there.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "app/commands/commands.hpp"
#include "app/commands/http_listing.hpp"
#include "app/commands/http_upload.hpp"
#include "app/console/files.hpp"
#include "app/console/fresh_certificates.hpp"
#include "app/console/own_authority.hpp"
#include "app/console/qr_code.hpp"
#include "app/console/report.hpp"
#include "app/console/standard_io.hpp"
#include "app/console/target.hpp"
#include "app/console/tls_flags.hpp"
#include "app/signals.hpp"
#include "coax/base/error.hpp"
#include "coax/http/app.hpp"
#include "coax/http/compression.hpp"
#include "coax/http/csrf.hpp"
#include "coax/http/folder.hpp"
#include "coax/http/middleware.hpp"
#include "coax/program/secret.hpp"
#include "coax/server/serve.hpp"
#include "coax/task/run.hpp"
#include "coax/tls/serve.hpp"

namespace coax::app {

namespace {

struct HttpArguments {
  std::string folder = ".";
  std::string listen = "127.0.0.1:8000";
  std::string tls;
  std::string tls_passphrase_file;
  std::string user;
  std::string password_file;
  std::string password;  // once it was read
  std::vector<std::string> cors;
  std::string upload_max = "1GiB";
  bool upload = false;
  bool spa = false;
  bool qr = false;
  bool quiet = false;
  bool json = false;
};

// --- the app ---

// Pages that were uploaded run no scripts that could act for their readers.
Task<http::Response> confine_pages(http::Request& request, http::Next next) {
  http::Response response = co_await next.answered(request);
  const std::string_view type = response.content_type;
  const bool is_page = type.starts_with("text/html") || type.contains("xml");
  const bool is_confined = std::ranges::any_of(
      response.headers, [](const auto& header) { return header.first == "Content-Security-Policy"; });
  if (is_page && !is_confined) response.header("Content-Security-Policy", "sandbox");
  co_return response;
}

http::App app_of(const HttpArguments& options, bool only_this_machine) {
  http::AppOptions limits;
  if (only_this_machine) limits.hosts = {"localhost"};  // and all addresses: against DNS rebinding
  http::App app(std::move(limits));
  if (!options.quiet) {
    const auto sink = [](std::string_view line) { print_error(std::string(line)); };
    app.use(http::access_log({.format = http::AccessLogOptions::Format::common, .sink = sink}));
  }
  // A browser asks whether it may send a password before it has one.
  if (!options.cors.empty())
    app.use(http::cors({.origins = options.cors,
                        .methods = {"GET", "HEAD"},  // uploads are for its own pages
                        .headers = {"Authorization", "Range"},
                        .exposed = {"Accept-Ranges", "Content-Encoding", "Content-Range", "ETag"}}));
  if (!options.user.empty()) {
    auto attempts = std::make_shared<http::AttemptLimit>(10, std::chrono::minutes(1));
    app.use(http::basic_auth(http::only_user(options.user, options.password), "coax http", std::move(attempts)));
  }
  app.use(http::compression());
  const std::string root = std::filesystem::canonical(options.folder).string();
  if (options.upload) {
    app.use(http::csrf_protection());
    app.use(confine_pages);
    add_uploads(app, {.root = root, .bytes_max = size_of("--upload-max", options.upload_max)});
  }
  Listing::add_files(app);
  const std::string name = std::filesystem::path(root).filename().string();
  http::FolderOptions folder{
      .listing = Listing({.title = name.empty() ? "/" : valid_utf8(name), .may_upload = options.upload}),
      .archives = true,
      .is_immutable = http::has_hashed_name};
  if (options.upload) folder.index.clear();  // otherwise an uploaded index.html would hide the list
  if (options.spa) folder.fallback = "index.html";
  app.mount("/", http::folder(root, std::move(folder)));
  return app;
}

// --- the start ---

bool is_here(const Address& address) { return address.family() == Family::local || address.endpoint().is_loopback(); }

// The addresses that a browser can use.
std::vector<std::string> urls_of(const std::vector<Address>& addresses, bool is_tls) {
  const std::string scheme = is_tls ? "https://" : "http://";
  std::vector<std::string> urls;
  for (const Address& at : addresses) {
    if (at.family() == Family::local) {
      urls.push_back(at.to_string());
      continue;
    }
    const Endpoint endpoint = at.endpoint();
    if (!endpoint.is_wildcard()) {
      urls.push_back(scheme + at.to_string() + "/");
      continue;
    }
    urls.push_back(fmt::format("{}127.0.0.1:{}/", scheme, endpoint.port()));
    for (const std::string& ip : own_addresses()) {
      if (ip.contains(':')) continue;
      urls.push_back(fmt::format("{}{}:{}/", scheme, ip, endpoint.port()));
    }
  }
  return urls;
}

std::string start_text(const HttpArguments& options, const std::vector<Address>& addresses) {
  const std::vector<std::string> urls = urls_of(addresses, !options.tls.empty());
  if (options.json) {
    boost::json::array all(urls.begin(), urls.end());
    return json_text(boost::json::object{{"event", "listening"}, {"urls", std::move(all)}}) + "\n";
  }
  const bool is_private = std::ranges::all_of(addresses, is_here);
  std::string text = safe_text("coax http: {}{}{}\n", options.folder, options.upload ? ", with uploads" : "",
                               is_private ? ", for this machine only (--listen 0.0.0.0 lets others in)" : "");
  for (const std::string& url : urls) text += safe_text("  {}\n", url);
  if (options.qr) text += "\n" + qr_code(urls.back()) + "\n";
  if (!options.qr && !is_private) text += "  --qr shows the last one as a QR code, for a phone\n";
  if (options.tls == "auto")
    text += "\n  Trust its certificate once:\n" + how_to_trust(OwnAuthority::open().certificate_file());
  return text + "  Ctrl-C ends it.\n";
}

void warn(const HttpArguments& options, bool only_this_machine) {
  if (only_this_machine) return;
  if (!options.user.empty() && options.tls.empty()) {
    complain("http", "without --tls, others on the network can read the password and the files");
  }
  if (options.upload && options.user.empty()) complain("http", "without --auth, everybody on the network may upload");
}

Task<> wait_for(Event& event) { co_await event.wait(); }

Task<> serve_folder(const HttpArguments& options, const Target& target, int& code) {
  Announcements announcements;
  std::vector<Address> addresses;
  bool is_listening = false;
  try {
    const std::vector<Address> wanted = addresses_to_listen_on(target);
    const bool only_this_machine = std::ranges::all_of(wanted, is_here);
    warn(options, only_this_machine);
    Handler handler = http::handler(app_of(options, only_this_machine));
    std::shared_ptr<tls::ServerContext> context;
    const auto identity = [&] { return identity_of(options.tls, options.tls_passphrase_file, only_this_machine); };
    if (!options.tls.empty()) {
      context =
          std::make_shared<tls::ServerContext>(tls::ServerOptions{.identities = {identity()}, .alpn = {"http/1.1"}});
      for (const std::string& warning : context->warnings()) complain("http", warning);
      handler = tls::handler(context, std::move(handler));
    }
    ServeOptions serving{.listen = target.text()};
    // The kernel of a client that pauses or throttles a download may accept nothing for minutes.
    serving.limits.write_timeout = std::chrono::minutes(5);
    serving.on_listen = [&](const Address& at) { addresses.push_back(at); };
    serving.on_ready = [&] {
      is_listening = true;
      announcements.say(start_text(options, addresses));
    };
    const auto renew = [&] {
      if (options.tls == "auto") identity();
    };
    Event never;
    Task<> fresh = context ? keep_certificates_fresh({context}, renew) : wait_for(never);
    co_await race(serve(std::move(serving), std::move(handler)), announcements.run(), std::move(fresh));
  } catch (const Error& error) {
    complain("http", error.what());
    code = is_listening ? failed : exit_code_of(error);
  }
}

// --- the command line ---

void read_password(HttpArguments& options) {
  if (options.user.empty()) {
    if (!options.password_file.empty()) throw WrongUsage{"--password-file is for --auth USER"};
    return;
  }
  if (options.user.contains(':')) throw WrongUsage{"--auth: a name has no colon; the password is asked for"};
  const char* const from_environment = std::getenv("COAX_HTTP_PASSWORD");  // NOLINT(concurrency-mt-unsafe): one thread
  if (!options.password_file.empty()) {
    options.password = read_passphrase(options.password_file);
  } else if (from_environment != nullptr && *from_environment != '\0') {
    options.password = from_environment;
  } else {
    options.password = read_secret(fmt::format("Password for {}: ", printable(std::string_view(options.user))));
  }
  if (options.password.empty()) throw WrongUsage{"--auth: the password is empty"};
}

int run_with(HttpArguments options) {
  const bool is_known = options.tls.empty() || options.tls == "auto" || is_certificate_and_key(options.tls);
  if (!is_known) throw WrongUsage{"--tls: give auto, or CERT,KEY"};
  if (!options.tls_passphrase_file.empty() && !is_certificate_and_key(options.tls)) {
    throw WrongUsage{"--tls-passphrase-file is for --tls CERT,KEY"};
  }
  size_of("--upload-max", options.upload_max);
  std::error_code failure;
  if (!std::filesystem::is_directory(options.folder, failure)) {
    throw WrongUsage{fmt::format("{}: {}", printable(std::string_view(options.folder)),
                                 failure ? failure.message() : "it is not a folder")};
  }
  if (options.spa && !std::filesystem::is_regular_file(options.folder + "/index.html", failure)) {
    throw WrongUsage{"--spa: the folder has no index.html"};
  }
  const Target target = target_of({options.listen}, Transport::tcp, Ports::one_or_any);
  read_password(options);
  ignore_stray_signals();
  raise_descriptor_limit();
  int code = done;
  const int ran = run(serve_folder(options, target, code));
  return code != done ? code : ran;
}

Run configure_http(CLI::App& command) {
  auto options = std::make_shared<HttpArguments>();
  command.add_option("folder", options->folder, "The folder [this one]")->type_name("[DIR]");
  command.add_option("--listen", options->listen, "The address: PORT, HOST:PORT, :PORT for all, or unix:PATH [8000]")
      ->type_name("ADDRESS");
  command.add_flag("--upload", options->upload, "Allow uploads into the folders; no file is ever replaced");
  command.add_option("--upload-max", options->upload_max, "The most bytes of one upload [1GiB]")->type_name("SIZE");
  command
      .add_option("--auth", options->user,
                  "Require this name and a password: from COAX_HTTP_PASSWORD, or --password-file, or asked for")
      ->type_name("USER");
  command.add_option("--password-file", options->password_file, "The password: the first line of this file")
      ->type_name("FILE");
  command
      .add_option("--tls", options->tls,
                  "HTTPS with a certificate of your own authority, or these PEM files,\n"
                  "which are read again when they change and after SIGHUP")
      ->type_name("auto | CERT,KEY");
  command
      .add_option("--tls-passphrase-file", options->tls_passphrase_file, "The passphrase of KEY: a line in this file")
      ->type_name("FILE");
  command.add_flag("--spa", options->spa, "index.html also answers for unknown paths without an extension");
  command.add_option("--cors", options->cors, "Pages of this origin may read the files; * for all; may be repeated")
      ->type_name("ORIGIN")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--qr", options->qr, "Show the address as a QR code, for a phone");
  command.add_flag("-q,--quiet", options->quiet, "No line for each request");
  command.add_flag("--json", options->json, "For machines: the start as one object");
  return [options] { return reported("http", unavailable, [&] { return run_with(*options); }); };
}

}  // namespace

const Command http_command{
    .name = "http",
    .summary = "Show the files of a folder to browsers, and let them upload",
    .details =
        "A folder is shown by its index.html, or by a list of its files, which a program gets as JSON\n"
        "(Accept: application/json). ?archive=zip, tar or tar.gz behind its path is the folder as one file. Dot "
        "files,\n"
        "special files and what symbolic links have outside of the folder are not served; a link with a plain name to "
        "a dot\n"
        "folder inside is, such as current -> .releases/42.\n"
        "\n"
        "Exit codes: 0 ended by Ctrl-C or SIGTERM; 1 failed; 2 wrong arguments; 3 the address cannot be listened on.\n"
        "\n",
    .examples =
        "  coax http                                  this folder at http://127.0.0.1:8000/\n"
        "  coax http public --listen :8080            for everybody on the network\n"
        "  coax http --upload --listen 0.0.0.0:8000 --qr   files from a phone\n"
        "  coax http --auth ada --tls auto --listen :8443\n"
        "  coax http dist --spa                       an application with routes of its own\n"
        "  curl http://127.0.0.1:8000/?archive=tar.gz | tar xz\n"
        "  curl -F file=@notes.txt http://127.0.0.1:8000/",
    .configure = configure_http,
};

}  // namespace coax::app
