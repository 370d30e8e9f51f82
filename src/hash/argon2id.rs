//! One Argon2id run, in memory that is reused.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

use super::{params::Argon2Params, pepper::Pepper};

pub(super) const SALT_LENGTH: usize = 16;
pub(super) const OUTPUT_LENGTH: usize = 32;

/// Memory of one thread, as large as its largest run so far.
///
/// Fresh pages cost as much as the hash itself, and a run gives the same result on dirty memory. The blocks are not
/// wiped between runs: 264 random bits cannot be recovered from them.
#[derive(Default)]
pub(super) struct Memory(Vec<Block>);

impl Memory {
    fn blocks(&mut self, count: usize) -> Result<&mut [Block], argon2::Error> {
        if self.0.len() < count {
            // Freed first: there are never two buffers.
            self.0 = Vec::new();
            self.0.try_reserve_exact(count).map_err(|_| argon2::Error::OutOfMemory)?;
            self.0.resize(count, Block::new());
        }
        self.0.get_mut(..count).ok_or(argon2::Error::OutOfMemory)
    }
}

/// The hash of a text under a salt and a pepper.
pub(super) fn hash(
    pepper: Option<&Pepper>,
    params: Argon2Params,
    text: &str,
    salt: &[u8; SALT_LENGTH],
    memory: &mut Memory,
) -> Result<Zeroizing<[u8; OUTPUT_LENGTH]>, argon2::Error> {
    let params = Params::new(params.memory_kib(), params.iterations(), 1, Some(OUTPUT_LENGTH))?;
    let secret: &[u8] = pepper.map_or(&[], |pepper| pepper.expose_secret());
    run(secret, params, text.as_bytes(), salt, memory)
}

fn run(
    secret: &[u8],
    params: Params,
    input: &[u8],
    salt: &[u8],
    memory: &mut Memory,
) -> Result<Zeroizing<[u8; OUTPUT_LENGTH]>, argon2::Error> {
    let blocks = memory.blocks(params.block_count())?;
    let argon2 = Argon2::new_with_secret(secret, Algorithm::Argon2id, Version::V0x13, params)?;
    let mut output = Zeroizing::new([0; OUTPUT_LENGTH]);
    argon2.hash_password_into_with_memory(input, salt, output.as_mut_slice(), blocks)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};

    use super::*;

    /// RFC 9106 section 5.3.
    #[test]
    fn rfc_9106_test_vector_for_argon2id() {
        let mut params = ParamsBuilder::new();
        params.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
        let output = run(&[3; 8], params.build().unwrap(), &[1; 32], &[2; 16], &mut Memory::default()).unwrap();
        assert_eq!(
            *output,
            [
                0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0,
                0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
            ]
        );
    }

    #[test]
    fn dirty_memory_changes_nothing() {
        let small = Argon2Params::MACHINE_SECRET;
        let large = Argon2Params::new(256, 2).unwrap();
        let mut memory = Memory::default();
        let first = hash(None, small, "text", &[1; 16], &mut memory).unwrap();
        hash(None, large, "other", &[2; 16], &mut memory).unwrap();
        assert_eq!(first, hash(None, small, "text", &[1; 16], &mut memory).unwrap());
    }

    #[test]
    fn memory_is_as_large_as_the_largest_run() {
        let mut memory = Memory::default();
        for memory_kib in [64, 256, 64] {
            hash(None, Argon2Params::new(memory_kib, 1).unwrap(), "text", &[1; 16], &mut memory).unwrap();
        }
        assert_eq!(memory.0.capacity(), 256);
    }

    #[test]
    fn text_salt_pepper_and_params_all_count() {
        let mut memory = Memory::default();
        let mut hash = |pepper: Option<u8>, memory_kib, text, salt| {
            let pepper = pepper.map(|byte| Pepper::from_bytes([byte; 32]));
            let params = Argon2Params::new(memory_kib, 1).unwrap();
            *super::hash(pepper.as_ref(), params, text, &[salt; 16], &mut memory).unwrap()
        };
        let base = hash(Some(1), 64, "text", 1);
        assert_eq!(base, hash(Some(1), 64, "text", 1));
        for other in [hash(None, 64, "text", 1), hash(Some(2), 64, "text", 1), hash(Some(1), 65, "text", 1)] {
            assert_ne!(base, other);
        }
        assert_ne!(base, hash(Some(1), 64, "texT", 1));
        assert_ne!(base, hash(Some(1), 64, "text", 2));
    }
}
