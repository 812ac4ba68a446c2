//! Models of loads by themselves. See `crate::models`.

use super::*;
use crate::models::explore;

/// A load takes hold of something while a write overtakes it. Whichever comes first, it holds nothing afterwards.
#[test]
fn an_overtaken_load_holds_nothing() {
    let writes: [fn(&Flights<u32>); 3] = [
        |flights| flights.overtake(["a"]),
        |flights| flights.overtake_group("a"),
        Flights::overtake_all,
    ];
    explore(move || {
        for write in writes {
            let flights = Arc::<Flights<u32>>::default();
            let lead = flights.begin_reload("a", &Tags::default()).unwrap();
            let writes = Arc::clone(&flights);
            let writing = sync::thread::spawn(move || write(&writes));
            let held = Arc::new(());
            let known = Arc::downgrade(&held);
            lead.hold(held);
            writing.join().unwrap();
            assert!(known.upgrade().is_none() && !lead.holds());
        }
    });
}
