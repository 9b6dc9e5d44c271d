//! What goes wrong in a world: network and power.

use model::types::NodeId;
use runtime::rng::Rng;
use runtime::transport::Plan;

use super::World;

impl World {
    /// Makes the network as bad as this.
    pub fn weather(&self, plan: Plan) {
        self.site.network.weather(plan);
    }

    /// Makes the network reliable; who reaches whom stays.
    pub fn calm(&self) {
        self.weather(Plan::default());
    }

    /// Cuts these servers off from everybody.
    pub fn cut(&self, servers: &[NodeId]) {
        servers.iter().for_each(|server| self.site.network.cut(*server));
    }

    /// Puts these servers back with the others.
    pub fn join(&self, servers: &[NodeId]) {
        servers.iter().for_each(|server| self.site.network.join(*server));
    }

    /// Lets only servers of the same group reach each other.
    pub fn split(&self, groups: &[&[NodeId]]) {
        self.site.network.split(groups);
    }

    /// Lets a server hear everybody and be heard by nobody.
    pub fn mute(&self, server: NodeId) {
        self.site.network.mute(server);
    }

    /// Lets nothing pass between these servers and those; both still reach all others.
    pub fn part(&self, one: &[NodeId], other: &[NodeId]) {
        self.site.network.part(one, other);
    }

    /// Lets everybody reach everybody.
    pub fn heal(&self) {
        self.site.network.heal();
    }

    /// Cuts a server's power.
    pub fn crash(&self, server: NodeId) {
        let mut rng = Rng::seeded(self.draw());
        self.server(server).crash(&mut rng);
    }

    /// Lets a server's power fail when it next saves something; to be followed by a crash.
    pub fn fail_power(&self, server: NodeId) {
        let mut rng = Rng::seeded(self.draw());
        self.server(server).fail_power(&mut rng);
    }

    /// Cuts the power of these servers.
    pub fn crash_these(&self, servers: &[NodeId]) {
        servers.iter().for_each(|server| self.crash(*server));
    }

    /// Cuts the power of all.
    pub fn crash_all(&self) {
        self.crash_these(&self.servers());
    }

    /// Starts a server again that was crashed, or whose power has failed.
    pub fn restart(&self, server: NodeId) {
        self.crash(server);
        self.server(server).start(&self.site);
    }

    /// Starts all servers that do not run.
    pub fn restart_all(&self) {
        let stopped = |server: &NodeId| !self.is_running(*server);
        self.servers().into_iter().filter(stopped).for_each(|server| self.restart(server));
    }
}
