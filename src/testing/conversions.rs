//! From the model's words to the cache's, and back.

use super::model::{Info, OwnTtl, Settings, Told, Value};
use disk_backed_cache::{Builder, Cacheable, DiskBackedCache, EntryInfo, PutOptions, Removal};
use serde::Serialize;

impl Settings {
    /// A builder of a cache that is open like the model. Nothing happens in its background, which the model does not
    /// have; give it the clock that the model's times are read from. `stored` is left to you.
    pub fn builder<T: Cacheable>(&self) -> Builder<T> {
        fn set<T: Cacheable, V>(
            builder: Builder<T>,
            value: Option<V>,
            method: fn(Builder<T>, V) -> Builder<T>,
        ) -> Builder<T> {
            match value {
                Some(value) => method(builder, value),
                None => builder,
            }
        }

        let builder = DiskBackedCache::<T>::builder()
            .background_maintenance(false)
            .memory_entries(self.memory_entries)
            .memory_bytes(self.memory_bytes);
        let builder = set(builder, self.memory_ttl, Builder::memory_ttl);
        let builder = set(builder, self.disk_entries, Builder::disk_entries);
        let builder = set(builder, self.disk_bytes, Builder::disk_bytes);
        let builder = set(builder, self.disk_ttl, Builder::disk_ttl);
        let builder = set(builder, self.max_item_size, Builder::max_item_size);
        let builder = set(builder, self.max_age, Builder::max_age);
        let builder = set(builder, self.fail_safe, Builder::fail_safe);
        let builder = set(builder, self.stale_while_revalidate, Builder::stale_while_revalidate);
        set(builder, self.refresh_ahead, Builder::refresh_ahead)
    }
}

impl Value {
    /// A value as the codec `Json` encodes it.
    ///
    /// # Errors
    /// What cannot be JSON, such as a map whose keys are no texts.
    pub fn json(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let content = serde_json::to_string(value)?;
        Ok(Self { size: content.len() as u64, content })
    }
}

impl Told {
    /// What a listener was told, with what memory held as JSON.
    ///
    /// # Errors
    /// What cannot be JSON.
    pub fn json<T: Serialize>(removal: &Removal<T>) -> Result<Self, serde_json::Error> {
        let value = removal.value.as_deref().map(Value::json).transpose()?;
        Ok(Self {
            key: removal.key.clone(),
            content: value.map(|value| value.content),
            cause: removal.cause,
            tier: removal.tier,
        })
    }
}

impl From<EntryInfo> for Info {
    fn from(info: EntryInfo) -> Self {
        Self {
            size: info.size,
            created: info.created,
            accessed: info.accessed,
            expires: info.expires,
            version: info.schema_version,
        }
    }
}

impl From<OwnTtl> for PutOptions {
    fn from(ttl: OwnTtl) -> Self {
        match ttl {
            OwnTtl::Sliding(ttl) => Self::new().ttl(ttl),
            OwnTtl::Fixed(ttl) => Self::new().fixed_ttl(ttl),
        }
    }
}
