//! The log on real files: order, claims, retention, damage at every byte, full disks, killed writers.

mod cost;
mod crash;
mod damage;
mod fixture;
mod follow;
mod full;
mod order;
