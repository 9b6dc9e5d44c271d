//! One log on several servers.

mod agreement;
mod churn;
mod economy;
mod election;
mod figure8;
mod persistence;
