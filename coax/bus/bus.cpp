// Publishing as a task.
#include "coax/bus/bus.hpp"

#include "coax/task/future.hpp"

namespace coax {

Task<Receipt> Subject::publish(Publication publication) {
  Promise<Receipt> promise;
  const Future<Receipt> receipt = promise.future();
  post(std::move(publication), [promise = std::move(promise)](Outcome outcome) mutable {
    if (outcome) {
      promise.set(*outcome);
    } else {
      promise.fail(std::move(outcome.error()));
    }
  });
  co_return co_await receipt;
}

}  // namespace coax
