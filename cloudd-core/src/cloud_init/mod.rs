//! A typed builder for cloud-init user data.
