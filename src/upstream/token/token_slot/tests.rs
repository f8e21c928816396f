//! One source's token as time passes; the clock stands still unless a test moves it.

use crate::upstream::token::token_slot::*;

/// The longest that a test waits for a token.
const WAIT: Duration = Duration::from_secs(20);

/// A token that is good for an hour and replaced five minutes before its end.
pub fn token(text: &str) -> Token {
    let now = Instant::now();
    let (replace_at, ends_at) = (now + Duration::from_secs(3300), now + Duration::from_secs(3600));
    Token { secret: Arc::new(Secret::new(text)), replace_at, ends_at }
}

fn down() -> Failure {
    Failure::new(Class::Unreachable, "down")
}

/// Asks for a token; the endpoint takes a second and gives `answer`. What came, after how long, and whether the
/// endpoint was asked.
async fn ask(slot: &Arc<TokenSlot>, answer: Result<&'static str, Failure>) -> (Result<String, Class>, u64, bool) {
    let (began, asked) = (Instant::now(), std::cell::Cell::new(false));
    let got = slot
        .get(began + WAIT, || {
            asked.set(true);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                answer.map(token)
            }
        })
        .await;
    let got = got.map(|secret| secret.reveal().to_owned()).map_err(|failure| failure.class);
    (got, began.elapsed().as_secs(), asked.get())
}

#[tokio::test(start_paused = true)]
async fn a_token_near_its_end_serves_at_once_while_its_successor_is_fetched() {
    let slot = Arc::<TokenSlot>::default();
    assert_eq!(ask(&slot, Ok("one")).await, (Ok("one".to_owned()), 1, true));
    tokio::time::advance(Duration::from_secs(3290)).await;
    assert_eq!(ask(&slot, Ok("two")).await, (Ok("one".to_owned()), 0, false));
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(ask(&slot, Ok("two")).await, (Ok("one".to_owned()), 0, true));
    assert_eq!(ask(&slot, Ok("three")).await, (Ok("one".to_owned()), 0, false), "one fetch at a time");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ask(&slot, Ok("three")).await, (Ok("two".to_owned()), 0, false));
}

#[tokio::test(start_paused = true)]
async fn a_failed_successor_fails_nobody_while_the_token_is_good_and_is_not_asked_for_all_the_time() {
    let slot = Arc::<TokenSlot>::default();
    ask(&slot, Ok("one")).await.0.unwrap();
    tokio::time::advance(Duration::from_secs(3305)).await;
    let mut asked = 0;
    for _ in 0..100 {
        let (got, took, was_asked) = ask(&slot, Err(down())).await;
        assert_eq!((got, took), (Ok("one".to_owned()), 0));
        asked += u32::from(was_asked);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert!((5..20).contains(&asked), "{asked}");
    tokio::time::advance(Duration::from_secs(200)).await;
    assert_eq!(ask(&slot, Err(down())).await, (Err(Class::Unreachable), 1, true));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_failed_is_left_alone_for_as_long_as_it_says() {
    let slot = Arc::<TokenSlot>::default();
    let busy = || Failure::new(Class::RateLimited, "slow down").with_retry_after(Some(Duration::from_secs(9)));
    let (first, second) = tokio::join!(ask(&slot, Err(busy())), ask(&slot, Ok("unasked")));
    assert_eq!((first, second), ((Err(Class::RateLimited), 1, true), (Err(Class::RateLimited), 1, false)));
    assert_eq!(ask(&slot, Ok("early")).await, (Err(Class::RateLimited), 0, false));
    let TokenStatus::Paused(failure) = slot.standing(Instant::now()) else { panic!("it is left alone") };
    assert_eq!(failure.retry_after, Some(Duration::from_secs(9)));
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(ask(&slot, Ok("one")).await, (Ok("one".to_owned()), 1, true));
    assert_eq!(pause(1, Some(Duration::from_secs(86_400))), LONGEST_TOLD);
    assert_eq!((pause(1, None), pause(2, None), pause(u32::MAX, None)), (FIRST_PAUSE, 2 * FIRST_PAUSE, LONGEST_PAUSE));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_takes_nothing_from_those_who_wait() {
    let slot = Arc::<TokenSlot>::default();
    let hurried = slot.get(Instant::now() + Duration::from_millis(10), || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(token("one"))
    });
    assert_eq!(hurried.await.unwrap_err().class, Class::Unreachable);
    assert_eq!(ask(&slot, Ok("two")).await.0, Ok("one".to_owned()));
}
