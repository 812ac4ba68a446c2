use disk_backed_cache::cached;

struct Counter(u32);

impl Counter {
    #[cached]
    fn take(self) -> u32 {
        self.0
    }

    #[cached]
    fn add(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }

    #[cached]
    fn fill(&self, numbers: &mut Vec<u32>) {
        numbers.push(self.0);
    }
}

fn main() {}
