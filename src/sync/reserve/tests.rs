use super::*;
use std::sync::Barrier;

fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

fn is_idle(reserve: &Reserve) -> bool {
    let state = reserve.state.lock();
    state.waiting.is_empty() && state.idle.len() == 1
}

/// Has a thread say which one it is.
fn asked(reserve: &Arc<Reserve>) -> ThreadId {
    let (says, said) = mpsc::channel();
    reserve.take(Box::new(move || says.send(thread::current().id()).unwrap()));
    said.recv().unwrap()
}

const LONG: Duration = Duration::from_secs(3_600);

#[test]
fn each_work_has_a_thread_at_once_however_many() {
    const MANY: usize = 600;
    let (reserve, all) = (Reserve::new(start, Duration::ZERO), Arc::new(Barrier::new(MANY + 1)));
    for _ in 0..MANY {
        let all = Arc::clone(&all);
        reserve.take(Box::new(move || {
            all.wait();
        }));
    }
    all.wait();
}

#[test]
fn a_thread_that_rests_is_asked_first() {
    let reserve = Reserve::new(start, LONG);
    let first = asked(&reserve);
    for _ in 0..3 {
        until(|| is_idle(&reserve));
        assert_eq!(asked(&reserve), first);
    }
}

// rule: A18
#[test]
fn threads_start_when_asked_and_end_after_a_rest() {
    let reserve = Reserve::new(start, Duration::from_millis(1));
    assert_eq!(Arc::strong_count(&reserve), 1);
    for _ in 0..20 {
        let meeting = Arc::new(Barrier::new(2));
        let meets = Arc::clone(&meeting);
        reserve.take(Box::new(move || {
            meets.wait();
            meets.wait();
        }));
        meeting.wait();
        assert_eq!(Arc::strong_count(&reserve), 2, "a thread has its reserve");
        meeting.wait();
        until(|| Arc::strong_count(&reserve) == 1);
        assert!(reserve.state.lock().idle.is_empty());
    }
}

#[test]
fn work_that_comes_when_a_thread_ends_is_done() {
    let reserve = Reserve::new(start, Duration::ZERO);
    for _ in 0..1_000 {
        asked(&reserve);
    }
}

/// Starts the first thread and no other.
fn start_one(reserve: Arc<Reserve>) -> io::Result<()> {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if STARTED.swap(true, Ordering::Relaxed) {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    start(reserve)
}

#[test]
fn work_that_has_no_thread_is_done_by_the_next_one_that_has_none() {
    let (reserve, busy) = (Reserve::new(start_one, LONG), Arc::new(Barrier::new(2)));
    let waits = Arc::clone(&busy);
    reserve.take(Box::new(move || {
        waits.wait();
    }));
    let (says, said) = mpsc::channel();
    for number in 0..3 {
        let says = says.clone();
        reserve.take(Box::new(move || says.send(number).unwrap()));
    }
    assert!(reserve.ask_again(), "there is no thread for it");
    assert!(said.try_recv().is_err());
    busy.wait();
    assert_eq!(said.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(!reserve.ask_again());
}
