//! The metric of how many messages the queue holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use crate::limits::QUEUE_DEPTH_INTERVAL;
use crate::source::sqs::tests::world::{World, denied};

/// Keeps gauges, by the value of their first label.
#[derive(Default)]
struct Gauges(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Gauges {
    fn get(&self, state: &str) -> Option<f64> {
        self.0.lock().unwrap().get(state).map(|bits| f64::from_bits(bits.load(Ordering::Acquire)))
    }
}

impl Recorder for Gauges {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let state = key.labels().next().map_or("", |label| label.value()).to_owned();
        Gauge::from_arc(Arc::clone(self.0.lock().unwrap().entry(state).or_default()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn the_depth_of_the_queue_is_told_at_intervals_and_is_no_number_while_the_queue_does_not_say() {
    let gauges: &'static Gauges = Box::leak(Box::default());
    let _told_here = metrics::set_default_local_recorder(gauges);
    let mut world = World::new();
    world.options.workers = 1;
    world.objects.hold(true);
    world.queue.fail_depths([denied()]);
    world.deliver("e1");
    let running = world.start();
    world.until_still("nothing is known", || gauges.get("waiting").is_some_and(f64::is_nan)).await;
    world.until_still("it is received", || world.queue.received() == 1).await;
    assert!(gauges.get("in_hand").is_some_and(f64::is_nan));
    world.until_stepping("it is counted", QUEUE_DEPTH_INTERVAL, || gauges.get("in_hand") == Some(1.0)).await;
    assert_eq!(gauges.get("waiting"), Some(0.0));
    world.objects.hold(false);
    world.until("it is deleted", || world.queue.left() == 0).await;
    world.until_stepping("it is counted no more", QUEUE_DEPTH_INTERVAL, || gauges.get("in_hand") == Some(0.0)).await;
    running.stop(&world).await.unwrap();
}
